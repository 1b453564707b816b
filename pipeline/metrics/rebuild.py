"""The store made anew from `logs/interactions/`, which are the truth about requests and feedback.

What the logs do not tell (evolutions, KPIs, events, samples, and days whose logs are gone) is taken over from the
store that was there. Other processes go on writing: they wait a moment at the end, and then write to the new one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.errors import BusyError, DiskError
from pipeline.lib.files import locked
from pipeline.lib.problems import Problems
from pipeline.metrics import database, logged, writing
from pipeline.metrics.rows import FeedbackMetric, QueryMetric

_DAY = 86_400
_TRANSACTION = 1000  # rows of one
_NOT_LOGGED = ("evolution_metrics", "kpi_snapshots", "evolution_strategies", "system_events", "resource_samples")
_LOGGED = {
    "query_metrics": "at < :moment",
    "feedback_metrics": "at < :moment",
    "daily_summaries": "day < :day",
    "daily_latencies": "day < :day",
    "daily_feedback": "day < :day",
}

Logged = QueryMetric | FeedbackMetric


def rebuild(path: Path, interactions: Path, *, agent: str, days: float, now: float) -> dict[str, Any]:
    """Make the store anew; it has its name only when it is complete.

    Args:
        path: the store; it may be corrupt, or not be there.
        interactions: the folder of the logs.
        agent: the model that feedback before the first interaction was about.
        days: how old a request may be to have a row of its own; the older ones are in the daily tables only.
        now: seconds since 1970.

    Returns: how many `queries` and `feedback` were read, and the `problems` with lines that could not be.

    Raises:
        BusyError: another rebuild is running, or the store is replaced meanwhile.
        DiskError: the disk is full or refuses; the store is what it was.
        NewerStoreError: a newer Nightschool has written the store.
    """
    draft = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.rebuild.lock"), "a rebuild of the metrics"):
        _remove(draft)
        try:
            return _rebuilt(path, draft, _Reader(interactions, agent), now - days * _DAY)
        except (sqlite3.Error, OSError) as error:
            raise DiskError(
                f"cannot rebuild {path}: {error}", "free some space or check the folder's rights"
            ) from error
        finally:
            _remove(draft)


def _rebuilt(path: Path, draft: Path, reader: "_Reader", oldest: float) -> dict[str, Any]:
    new = database.connect(draft)
    try:
        new.execute("PRAGMA synchronous = OFF")  # a draft that a power cut takes is begun again
        _fill(new, reader, oldest)
        with _held(path):
            _fill(new, reader, oldest)  # what was logged meanwhile
            broken = _take_over(new, path, reader)
            new.close()
            database.replace(path, draft, keep=broken)
    finally:
        new.close()
    return {"queries": reader.queries, "feedback": reader.feedback, "problems": reader.problems.to_json()}


class _Reader:
    """Reads the logs, and on the second time what has come since."""

    def __init__(self, folder: Path, agent: str) -> None:
        self.problems = Problems()
        self.queries = self.feedback = 0
        self._folder, self._agent = folder, agent
        self._read: dict[Path, tuple[int, int]] = {}  # the size it had, the lines it gave

    @property
    def first_day(self) -> str:
        """The UTC day of the oldest log; none has a day after all days."""
        return min((path.stem for path in self._read), default="9999-12-31")

    def rows(self) -> Iterator[Logged]:
        """One for each line that is new."""
        for path in sorted(self._folder.glob("*.jsonl")):
            size, done = path.stat().st_size, 0
            if path in self._read:
                before, done = self._read[path]
                if before == size:
                    continue
            for line in islice(jsonl.read_tolerant(path, self.problems if not done else Problems()), done, None):
                done += 1
                if (row := self._row(line, f"{path.name} record {done}")) is not None:
                    yield row
            self._read[path] = (size, done)

    def _row(self, line: dict[str, Any], place: str) -> Logged | None:
        try:
            if line.get("kind") == "feedback":
                self.feedback += 1
                return logged.feedback(line, self._agent)
            row = logged.query(line)
        except (KeyError, TypeError, AttributeError) as error:
            self.problems.add(f"cannot be read: {error}", place)
            return None
        self.queries += 1
        self._agent = row.agent
        return row


def _fill(db: sqlite3.Connection, reader: _Reader, oldest: float) -> None:
    rows = reader.rows()
    while some := list(islice(rows, _TRANSACTION)):
        with database.transaction(db):
            for row, error in writing.write(db, some, oldest):
                reader.problems.add(f"makes no sense: {error}", f"{type(row).__name__} {row.interaction_id}")


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Nobody writes to the store during the block; one that is corrupt is put aside first."""
    try:
        before = database.identity(path)
        db, held = database.opened(path)
    except sqlite3.DatabaseError as error:
        if not database.is_corrupt(error):
            raise
        database.set_aside(path, before, error)
        db, held = database.opened(path)
    try:
        with database.transaction(db):
            if database.identity(path) != held:
                raise BusyError(f"{path} was replaced meanwhile", "start the rebuild again")
            yield
    finally:
        db.close()


def _take_over(new: sqlite3.Connection, path: Path, reader: _Reader) -> bool:
    """Copy what the logs do not tell; returns whether something of it could not be read."""
    moment = datetime.fromisoformat(reader.first_day).replace(tzinfo=UTC).timestamp()
    new.execute("ATTACH DATABASE ? AS old", (str(path),))
    broken = False
    for table in (*_NOT_LOGGED, *_LOGGED):
        columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
        names, where = ", ".join(columns), _LOGGED.get(table, "TRUE")
        statement = f"INSERT INTO main.{table} ({names}) SELECT {names} FROM old.{table} WHERE {where}"
        try:
            new.execute(statement, {"moment": moment, "day": reader.first_day})
        except sqlite3.DatabaseError as error:
            if not database.is_corrupt(error):
                raise
            reader.problems.add(f"corrupt: {error}", table)
            broken = True
    return broken


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".lock"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
