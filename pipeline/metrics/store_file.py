"""One process's hold on the store's file: opened when needed, opened again when another file has its name."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from pipeline.metrics import database, writing
from pipeline.metrics.database import Identity
from pipeline.metrics.rows import Row

_ATTEMPTS = 3  # a file may be replaced, or found corrupt, while it is written to


class _MovedError(Exception):
    """Another file has the name now."""


class StoreFile:
    """Writes batches; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._doubtful = 0  # the next rows that a rebuild may have put into the file

    def write(self, rows: Sequence[Row], waiting: int) -> list[tuple[Row, Exception]]:
        """Write rows in one transaction; a corrupt file is put aside first.

        Args:
            rows: the oldest of those that wait.
            waiting: how many wait, these included.

        Returns: those that no table takes, with the reason; the others are committed.

        Raises:
            NewerStoreError: a newer Nightschool has written the file.
            sqlite3.Error, OSError: the disk refuses; nothing of the rows is in the file.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._attempt(rows, waiting)
            except _MovedError:
                self.close()
            except (sqlite3.Error, OSError) as error:
                broken = self._identity
                self.close()
                if not database.is_corrupt(error) or attempt == _ATTEMPTS:
                    raise
                database.set_aside(self.path, broken, error)
        raise OSError(f"{self.path} is replaced again and again")

    def close(self) -> None:
        """Let go of the file; the next write opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _attempt(self, rows: Sequence[Row], waiting: int) -> list[tuple[Row, Exception]]:
        if self._db is None:
            self._identity = database.identity(self.path)
            self._db, self._identity = database.opened(self.path)
            self._doubtful = waiting
        with database.transaction(self._db):
            # Only now: until this transaction ends nobody replaces the file.
            if database.identity(self.path) != self._identity:
                raise _MovedError
            database.version(self._db, self.path)
            bad = writing.write(self._db, writing.unrecorded(self._db, rows) if self._doubtful > 0 else rows)
        self._doubtful -= len(rows)
        return bad
