"""The store that every process of Nightschool records itself in: `logs/metrics.sqlite`.

`add` only appends to a list. A thread writes what has gathered: `rows` of them together, or whatever there is after
`seconds`; the rest goes out at the end of the process. Several processes write at once.

What `flush` has returned from survives kill -9. Of what it has not, a kill takes one buffer at most. A disk that
refuses is said once; rows wait in memory until it takes them again, up to a bound, beyond which they are counted.
"""

import atexit
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pipeline.lib.errors import BadRecordError
from pipeline.lib.logs import logger
from pipeline.metrics import database
from pipeline.metrics.database import NewerStoreError
from pipeline.metrics.rows import Row
from pipeline.metrics.store_file import StoreFile

if TYPE_CHECKING:
    from pipeline.lib.config import Settings

_KEPT = 10_000  # rows that wait for a disk that refuses
_TRANSACTION = 1000  # most rows of one
_PATIENCE = 1.0  # seconds for which whoever adds faster than the disk takes waits, once, for the thread


class MetricsStore:
    """Records rows for this process; safe from several threads."""

    def __init__(self, path: Path, *, rows: int = 100, seconds: float = 60.0) -> None:
        """Nothing happens before the first row.

        Args:
            path: the SQLite file; made if it is not there.
            rows: how many wait before they are written together.
            seconds: how long one waits at most.
        """
        self.path = path
        self.rows = rows
        self.seconds = seconds
        self.lost = 0
        self._file = StoreFile(path)
        self._waiting: list[Row] = []  # a row leaves it when it is on the disk
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        self._starting, self._writing = threading.Lock(), threading.Lock()
        self._wake, self._room, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._refused: str | None = None  # what the disk says
        self._recording = True
        self._stuck = False

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """The store of an installation, with the buffer of `[metrics]`."""
        section = settings.metrics
        return cls(settings.layout.metrics, rows=section.buffer_rows, seconds=section.buffer_seconds)

    def add(self, row: Row) -> None:
        """Record a row, soon; never raises, and waits for nothing but a thread that is a whole buffer behind."""
        full = len(self._waiting) >= self.rows and not self._has_room()
        if full or not self._recording or self._closed.is_set():
            self.lost += 1
            return
        self._waiting.append(row)
        if self._thread is None:
            self._start()
        if len(self._waiting) >= self.rows and self._refused is None:
            self._room.clear()
            self._wake.set()

    def flush(self) -> bool:
        """Write what has been added until now; returns whether all of it is in the file."""
        with self._writing:
            left = len(self._waiting)
            while left > 0 and self._recording:
                batch = self._waiting[: min(left, _TRANSACTION)]
                if not self._write(batch):
                    return False
                del self._waiting[: len(batch)]
                left -= len(batch)
                self._stuck = False
            if len(self._waiting) < self.rows:
                self._room.set()
            return self._recording

    def close(self) -> None:
        """Write what waits, then stop; what cannot be written is lost, and said to be."""
        if self._closed.is_set() or os.getpid() != self._process:
            return
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            atexit.unregister(self.close)
        self.flush()
        self.lost += len(self._waiting)
        self._waiting.clear()
        self._file.close()
        if self.lost:
            logger.warning("%d rows of metrics were not recorded in %s", self.lost, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_room(self) -> bool:
        """Whether one more row may wait; without this a fast loop would leave the thread no time to write."""
        if self._refused is None and not self._stuck and not self._room.wait(_PATIENCE):
            self._stuck = True
        return len(self._waiting) < max(_KEPT, self.rows)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def _work(self) -> None:
        while not self._closed.is_set():
            self._wake.wait(self.seconds)
            self._wake.clear()
            self.flush()

    def _write(self, rows: list[Row]) -> bool:
        try:
            bad = self._file.write(rows, len(self._waiting))
        except NewerStoreError as error:
            self._recording = False
            self.lost += len(self._waiting)
            self._waiting.clear()
            logger.warning("metrics are not recorded: %s; %s", error, error.hint)
            return False
        except (sqlite3.Error, OSError) as error:
            if self._refused is None:
                logger.warning("metrics wait in memory: cannot write %s: %s", self.path, error)
            self._refused = str(error)
            return False
        if bad:
            self.lost += len(bad)
            logger.warning("%d rows of metrics make no sense and are dropped: %s", len(bad), bad[0][1])
        if self._refused is not None:
            logger.warning("%s is written again; %d rows were lost so far", self.path, self.lost)
            self._refused = None
        return True


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The store for questions: read-only, rows by column name. A file that is not there reads as an empty store.

    Every statement sees what is committed when it begins. For figures that must agree with each other, begin with
    `db.execute("BEGIN")`, and be done soon: what is written meanwhile gathers in the WAL.

    Raises:
        BadRecordError: the file is corrupt, was written by a newer Nightschool, or may not be read.
    """
    try:
        db = _opened(path)
        try:
            yield db
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        if database.is_corrupt(error):
            hint = "the next process that records keeps it aside; `nightschool metrics rebuild` makes it anew"
            raise BadRecordError(f"{path} is corrupt: {error}", hint) from error
        raise


def _opened(path: Path) -> sqlite3.Connection:
    if not path.exists():
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        database.migrate(db, path)
    else:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, timeout=database.WAIT, isolation_level=None, check_same_thread=False)
        if not database.is_current(db, path):
            db.close()
            database.connect(path).close()
            return _opened(path)
    db.execute("PRAGMA query_only = ON")
    db.row_factory = sqlite3.Row
    return db
