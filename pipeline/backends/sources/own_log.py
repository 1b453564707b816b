"""Our own gateway's log: interactions, and the feedback that came later, joined by id.

What was said is read first, into a table that may outgrow memory; then the interactions pass by and take theirs.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
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
_SAID_BEFORE = "UPDATE said SET at = max(at, ?), feedback = json_patch(?, feedback) WHERE id = ?"
_TAKE = "UPDATE said SET joined = 1 WHERE id = ? RETURNING at, feedback"
_OPEN = "SELECT EXISTS (SELECT 1 FROM said WHERE NOT joined AND at >= ? AND at < ?)"
_BITS = 1 << 26
_FEEDBACK = re.compile(rb'"kind":\s*"feedback"')


class OwnLog:
    """See `pipeline.backends.sources.interface.Source`."""

    name = "gateway"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Days before the window are read only when something was said in it about one of their answers.

        Feedback may come in parts, over several days: what was said of those answers before counts with it.
        """
        first_day = _day_before(since)
        files = sorted(self.folder.glob("*.jsonl"))
        with scratch(_TABLE) as table:
            said = _Said(table)
            for path in files:
                if path.stem >= first_day:
                    said.listen(path, problems)
            for path in files:
                if path.stem >= first_day:
                    yield from _window(path, said, since, until, problems)
            for path in reversed(files):
                if path.stem < first_day and said.anything_open(since, until):
                    said.listen_back(path)
                    yield from _window(path, said, since, until, problems)

    def interactions(self, since: float, until: float, problems: Problems | None = None) -> Iterator[Interaction]:
        """The same, validated."""
        problems = problems or Problems()
        for row in self.rows(since, until, problems):
            try:
                yield Interaction.model_validate(row)
            except ValidationError as error:
                problems.add(_short(error), f"interaction {row.get('id')}")


class _Said:
    """What was said about answers, by their ids."""

    def __init__(self, table: Connection) -> None:
        self._table = table
        # Most answers are about nobody's words. A filter says so without asking the table: one bit for each hash.
        self._maybe = bytearray(_BITS // 8)

    def listen(self, path: Path, problems: Problems) -> None:
        """Collect it. Lines that cannot be read are counted when the interactions pass by."""
        for identity, at, feedback in _feedback(path, problems):
            self._table.execute(_SAY, (identity, at, feedback))
            place = hash(identity) % _BITS
            self._maybe[place >> 3] |= 1 << (place & 7)

    def listen_back(self, path: Path) -> None:
        """Add what an older file says of the answers that are known here; what was said later counts before it."""
        earlier = [said for said in _feedback(path, Problems()) if self._may_know(said[0])]
        for identity, at, feedback in reversed(earlier):
            self._table.execute(_SAID_BEFORE, (at, feedback, identity))

    def _may_know(self, identity: str) -> bool:
        place = hash(identity) % _BITS
        return bool(self._maybe[place >> 3] >> (place & 7) & 1)

    def about(self, identity: str) -> Row | None:
        """What was said about an answer; asking for it once closes it."""
        if not self._may_know(identity):
            return None
        found = self._table.execute(_TAKE, (identity,)).fetchone()
        return {**orjson.loads(found[1]), "at": found[0]} if found else None

    def anything_open(self, since: float, until: float) -> bool:
        """Whether something was said in the window about an answer that has not passed by."""
        return bool(self._table.execute(_OPEN, (since, until)).fetchone()[0])


def _feedback(path: Path, problems: Problems) -> Iterator[tuple[str, float, str]]:
    """Each feedback line of a file: what it is about, when it was said, and what, as JSON."""
    for block in jsonl.blocks(path, Problems()):
        for found in _FEEDBACK.finditer(block):
            end = block.find(b"\n", found.end())
            line = block[block.rfind(b"\n", 0, found.start()) + 1 : end if end >= 0 else None]
            with suppress(orjson.JSONDecodeError):
                record = orjson.loads(line)
                if record.get("kind") != "feedback":
                    continue
                try:
                    feedback = Feedback.model_validate(record)
                    identity = str(record["interaction_id"])
                except (ValidationError, KeyError) as error:
                    problems.add(f"feedback: {_short(error)}", path.name)
                    continue
                told = feedback.model_dump(exclude_none=True)
                yield identity, feedback.at or 0.0, orjson.dumps(told).decode()


def _window(path: Path, said: _Said, since: float, until: float, problems: Problems) -> Iterator[Row]:
    """The interactions of a file that were asked in the window, or about which something was said in it."""
    for row in jsonl.read_tolerant(path, problems):
        if row.get("kind") == "feedback":
            continue
        at, identity = row.get("at"), row.get("id")
        if not (isinstance(at, float | int) and isinstance(identity, str) and row.get("messages") and "answer" in row):
            problems.add("an interaction without id, time, question or answer", path.name)
            continue
        feedback = said.about(identity)
        if feedback is not None:
            _tell(row, feedback)
        if since <= at < until or (at < since and since <= _said_at(row) < until):
            yield row


def _said_at(row: Row) -> float:
    feedback = row.get("feedback")
    return float(feedback.get("at", 0.0)) if feedback else 0.0


def _tell(row: Row, feedback: dict[str, Any]) -> None:
    row["feedback"] = feedback
    success, thumb = feedback.get("success"), feedback.get("thumb")
    if success is not None or thumb is not None:
        row["success"] = thumb > 0 if success is None and thumb is not None else success
    if feedback.get("check"):
        row["check"] = feedback["check"]
    if feedback.get("error"):
        row["error"] = feedback["error"]
        row.pop("error_kind", None)  # it was another error's


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
