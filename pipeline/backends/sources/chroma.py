"""The collection `daily_buffer` of a Chroma folder: documents whose metadata carry question and answer.

It reads `chroma.sqlite3` itself. Chroma has no read-only mode: opening a folder migrates its schema, and a second
writer beside a running one corrupts the index. Documents and metadata stand in plain SQLite tables that have been the
same from 0.4 to 1.x, and are written there at once, so nothing is lost by going past Chroma.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pipeline.backends.sources import interactions, moments, persons, sqlite
from pipeline.backends.sources.interface import Row
from pipeline.lib.errors import BadRecordError, UnavailableError
from pipeline.lib.problems import Problems

_COLLECTION = "daily_buffer"
_FILE = "chroma.sqlite3"
_DOCUMENT = "chroma:document"
_ASKED = ("query", "question", "prompt", "instruction", "input")
_ANSWERED = ("response", "answer", "output", "completion")
_TIMES = ("timestamp", "at", "created_at", "time", "date")
_VALUES = ("key", "string_value", "int_value", "float_value", "bool_value")
_ENTRIES = """
    SELECT e.id AS number, e.embedding_id AS name, e.created_at AS written FROM embeddings e
    JOIN segments s ON s.id = e.segment_id JOIN collections c ON c.id = s.collection
    WHERE c.name = ? AND s.scope = 'METADATA' ORDER BY e.id
"""


class Chroma:
    """See `pipeline.backends.sources.interface.Source`. One folder."""

    kind: ClassVar[str] = "chroma"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.parent if folder.name == _FILE else folder
        self.name = interactions.named(self.kind, [self.folder])

    @staticmethod
    def standard_places(environ: Mapping[str, str], user_home: Path) -> list[Path]:
        """The Chroma folders of this installation."""
        home = Path(environ.get("NIGHTSCHOOL_HOME") or ".")
        found = (sorted(home.glob(f"{above}{_FILE}")) for above in ("", "*/", "*/*/"))
        return [file.parent for files in found for file in files]

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every entry that was asked or rated in the window."""
        if not self.folder.is_dir():
            raise UnavailableError(f"no folder {self.folder}", "correct the path in nightschool.toml")
        path = self.folder / _FILE
        with sqlite.opened(path) as database:
            values = _check(database, path)
            for entry in database.execute(_ENTRIES, (_COLLECTION,)):
                try:
                    each = self._row(entry, _metadata(database, values, entry["number"]))
                except interactions.UNREADABLE as error:
                    problems.add(interactions.why(error), f"{self.folder.name} entry {entry['name']}")
                    continue
                if interactions.in_window(each, since, until):
                    yield each

    def _row(self, entry: sqlite3.Row, known: dict[str, Any]) -> Row:
        if any(isinstance(value, bytes) for value in known.values()):
            raise ValueError("not UTF-8")
        asked = next((known[key] for key in _ASKED if known.get(key)), known.get(_DOCUMENT))
        answer = next((known[key] for key in _ANSWERED if known.get(key) is not None), None)
        if not asked or answer is None:
            raise ValueError("an entry without question or answer")
        at = next((moments.seconds(known[key]) for key in _TIMES if known.get(key) is not None), None)
        score = known.get("confidence", known.get("quality_score"))
        said = {key: known.get(key) for key in ("comment", "edited")}
        opinions = (key for key in ("thumb", "feedback", "rating") if known.get(key) is not None)
        thumb = next((persons.thumb(key, known[key]) for key in opinions), None)
        row = interactions.row(
            self.name,
            str(entry["name"]),
            moments.seconds(entry["written"]) if at is None else at,
            [{"role": "user", "content": str(asked)}],
            str(answer),
            interactions.said(str(answer), thumb=thumb, at=moments.optional(known.get("feedback_at")), **said),
            user=known.get("user") or known.get("user_id"),
            session=known.get("session") or known.get("session_id"),
            model=known.get("model"),
            error=known.get("error") or None,
            confidence=score if isinstance(score, int | float) and 0 <= score <= 1 else None,
            latency_ms=known.get("latency_ms"),
            tokens=known.get("tokens"),
        )
        success = known.get("success")
        worked = persons.opinion(success) if success is not None else None
        return row if worked is None or "success" in row else {**row, "success": worked > 0}


def _check(database: sqlite3.Connection, path: Path) -> str:
    """That it is a Chroma folder with the collection; the query for the metadata of an entry."""
    sqlite.require(database, path, "collections", {"id", "name"}, "Chroma")
    sqlite.require(database, path, "segments", {"id", "scope", "collection"}, "Chroma")
    sqlite.require(database, path, "embeddings", {"id", "segment_id", "embedding_id"}, "Chroma")
    present = sqlite.require(database, path, "embedding_metadata", {"id", "key", "string_value"}, "Chroma")
    names = [str(row["name"]) for row in database.execute("SELECT name FROM collections ORDER BY name")]
    if _COLLECTION not in names:
        raise BadRecordError(
            f"{path}: no collection {_COLLECTION}", f"it has {', '.join(names) or 'none'}; nothing else is read"
        )
    return f"{sqlite.selected('embedding_metadata', present, _VALUES)} WHERE id = ?"


def _metadata(database: sqlite3.Connection, query: str, number: int) -> dict[str, Any]:
    """The metadata of an entry, its document among them."""
    found: dict[str, Any] = {}
    for row in database.execute(query, (number,)):
        if row["bool_value"] is not None:
            found[str(row["key"])] = bool(row["bool_value"])
        else:
            given = (row[name] for name in ("string_value", "int_value", "float_value"))
            found[str(row["key"])] = next((value for value in given if value is not None), None)
    return found
