"""Many rows in one statement."""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_AT_ONCE = 100  # rows of one statement


def insert(
    db: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]], conflict: str = ""
) -> None:
    """Insert rows. A statement for each of them would hand Python's lock to and fro for each of them.

    Args:
        db: a connection inside a transaction.
        table: where to.
        columns: what the values are, in their order.
        rows: the values.
        conflict: an ON CONFLICT clause.

    Raises:
        sqlite3.Error: SQLite refuses one of them; some of the others are in the transaction.
    """
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        db.execute(_statement(table, columns, len(some), conflict), tuple(chain.from_iterable(some)))


@lru_cache(maxsize=256)
def _statement(table: str, columns: tuple[str, ...], rows: int, conflict: str) -> str:
    values = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([values] * rows)} {conflict}"
