"""A question in SQL: it may read the store, and nothing else, for so long and so much."""

import math
import sqlite3
import time
from collections import Counter
from typing import Any

from pipeline.lib.errors import UsageError

_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_LONGEST = 1_000_000  # bytes of a value, and of the statement
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_EXAMPLE = "for example: SELECT run, status, improvement FROM evolution_metrics; docs/metrics.md has the tables"


def select(db: sqlite3.Connection, statement: str, limit: int, seconds: float) -> tuple[list[dict[str, Any]], bool]:
    """The rows of a SELECT, and whether there are more than `limit`.

    Columns of the same name are told apart by a number; bytes come as hexadecimal digits, what is infinite as a text.

    Args:
        db: a connection of `store.reading`; it is of no use for anything else afterwards.
        statement: one SELECT (or WITH … SELECT).
        limit: most rows.
        seconds: after which it is given up.

    Raises:
        UsageError: SQLite's complaint; it is no SELECT; it took too long.
    """
    refused = _confine(db, time.monotonic() + seconds)
    try:
        cursor = db.execute(statement)
        if cursor.description is None:
            raise UsageError("no statement", _EXAMPLE)
        names = _distinct([str(column[0]) for column in cursor.description])
        rows = cursor.fetchmany(limit + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if refused:
            raise UsageError("only SELECT may be asked", _EXAMPLE) from error
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            less = "ask for less: WHERE at > …, LIMIT; or --seconds"
            raise UsageError(f"no answer within {seconds:g} seconds", less) from error
        raise UsageError(f"SQLite: {error}", _EXAMPLE) from error
    return [dict(zip(names, map(_plain, row), strict=True)) for row in rows[:limit]], len(rows) > limit


def _confine(db: sqlite3.Connection, deadline: float) -> list[int]:
    """No other file (ATTACH), no change, no value of a gigabyte, no end of time.

    Returns: what has been refused; it fills while the statement is read.
    """
    refused: list[int] = []

    def allowed(action: int, *_: object) -> int:
        if action in _READING:
            return sqlite3.SQLITE_OK
        refused.append(action)
        return sqlite3.SQLITE_DENY

    db.text_factory = lambda text: text.decode(errors="replace")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    db.set_authorizer(allowed)
    return refused


def _distinct(names: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        names[place] = name if seen[name] == 1 else f"{name}:{seen[name]}"
    return names


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
