"""Our own gateway's log: interactions, and the feedback that came later, joined by id.

Feedback is read first, into a table that may outgrow memory; then the interactions pass by, some thousand at a time,
and take what was said about them.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import orjson
from pydantic import ValidationError

from pipeline.backends.sources.interface import Row
from pipeline.lib import jsonl
from pipeline.lib.problems import Problems
from pipeline.lib.records import Feedback, Interaction
from pipeline.lib.scratch import scratch

_TABLE = "CREATE TABLE said (id TEXT PRIMARY KEY, at REAL, feedback TEXT, joined INTEGER DEFAULT 0) WITHOUT ROWID"
# Feedback comes in any order of time; of what is said about one answer, a later line overrides what it repeats.
_SAY = """
    INSERT INTO said (id, at, feedback) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET at = max(at, excluded.at), feedback = json_patch(feedback, excluded.feedback)
"""
_JOIN = "UPDATE said SET joined = 1 WHERE id IN (SELECT value FROM json_each(?)) RETURNING id, at, feedback"
_CHUNK = 2000
_FEEDBACK_LINE = re.compile(rb'"kind":\s*"feedback"')


class OwnLog:
    """See `pipeline.backends.sources.interface.Source`."""

    name = "gateway"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Days before the window are read only when something was said in it about one of their answers."""
        first_day = _day_before(since)
        files = sorted(self.folder.glob("*.jsonl"))
        days = [path for path in files if path.stem >= first_day]
        with scratch(_TABLE) as said:
            _listen(said, days, problems)
            anything = bool(said.execute("SELECT EXISTS (SELECT 1 FROM said)").fetchone()[0])
            for chunk in _chunks(_interactions(days, problems)):
                yield from _window(_joined(chunk, said) if anything else chunk, since, until)
            late = "SELECT EXISTS (SELECT 1 FROM said WHERE NOT joined AND at >= ? AND at < ?)"
            for path in [each for each in reversed(files) if each.stem < first_day]:
                if not said.execute(late, (since, until)).fetchone()[0]:
                    break
                for chunk in _chunks(_interactions([path], problems)):
                    yield from _window(_joined(chunk, said), since, until)

    def interactions(self, since: float, until: float, problems: Problems | None = None) -> Iterator[Interaction]:
        """The same, validated."""
        problems = problems or Problems()
        for row in self.rows(since, until, problems):
            try:
                yield Interaction.model_validate(row)
            except ValidationError as error:
                problems.add(_short(error), f"interaction {row.get('id')}")


def _listen(said: Connection, files: Iterable[Path], problems: Problems) -> None:
    """Collect everything that was said. Lines that cannot be read are counted when the interactions pass by."""
    for path in files:
        for record in jsonl.read_tolerant(path, Problems(), _FEEDBACK_LINE):
            if record.get("kind") != "feedback":
                continue
            try:
                feedback = Feedback.model_validate(record)
                identity = str(record["interaction_id"])
            except (ValidationError, KeyError) as error:
                problems.add(f"feedback: {_short(error)}", path.name)
                continue
            told = feedback.model_dump(exclude_none=True)
            said.execute(_SAY, (identity, feedback.at or 0.0, orjson.dumps(told).decode()))


def _interactions(files: Iterable[Path], problems: Problems) -> Iterator[Row]:
    for path in files:
        for record in jsonl.read_tolerant(path, problems):
            if record.get("kind") == "feedback":
                continue
            if "id" in record and isinstance(record.get("at"), int | float):
                yield record
            else:
                problems.add("an interaction without id and time", path.name)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _joined(chunk: list[Row], said: Connection) -> list[Row]:
    """Interactions with what was said about them, which overrides the guess that confidence made."""
    identities = orjson.dumps([row["id"] for row in chunk]).decode()
    found = {identity: (at, feedback) for identity, at, feedback in said.execute(_JOIN, (identities,)).fetchall()}
    for row in chunk:
        if row["id"] in found:
            at, text = found[row["id"]]
            _tell(row, {**orjson.loads(text), "at": at})
    return chunk


def _tell(row: Row, feedback: dict[str, Any]) -> None:
    row["feedback"] = feedback
    success, thumb = feedback.get("success"), feedback.get("thumb")
    if success is not None or thumb is not None:
        row["success"] = thumb > 0 if success is None and thumb is not None else success
    for name in ("error", "check"):
        if feedback.get(name):
            row[name] = feedback[name]


def _window(rows: Iterable[Row], since: float, until: float) -> Iterator[Row]:
    for row in rows:
        if since <= row["at"] < until or (row["at"] < since and since <= _said_at(row) < until):
            yield row


def _said_at(row: Row) -> float:
    feedback = row.get("feedback")
    return float(feedback.get("at", 0.0)) if feedback else 0.0


def _day_before(since: float) -> str:
    """An answer is written down when it is complete: one asked at midnight may stand in the file of either day."""
    try:
        return (datetime.fromtimestamp(since, UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return ""


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
