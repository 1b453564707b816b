"""A temporary table that may outgrow memory: SQLite in a file that vanishes when it is closed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

_CACHE = 8_000  # KiB that it may keep in memory; the rest is the kernel's to cache


@contextmanager
def scratch(*tables: str) -> Iterator[sqlite3.Connection]:
    """A database with these tables (CREATE TABLE statements), gone after the block. For one thread."""
    connection = sqlite3.connect("", isolation_level=None)
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")
        connection.execute("PRAGMA journal_mode = OFF")
        for table in tables:
            connection.execute(table)
        connection.execute("BEGIN")
        yield connection
    finally:
        connection.close()
