"""The SQLite file of the store: opened, brought up to date, and put aside when it is corrupt.

WAL: readers and one writer at a time do not disturb each other. `synchronous = NORMAL`: what was committed survives
the end of the process, however it ends; a power cut may take the last seconds, and leaves the file whole.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.lib.errors import BadRecordError
from pipeline.lib.files import locked, sync, sync_folder
from pipeline.lib.logs import logger
from pipeline.metrics.schema import MIGRATIONS

WAIT = 30.0  # seconds that a connection waits for another process's transaction
_CHECKPOINT = 4000  # pages (16 MB) after which what is in the WAL goes into the file
_LARGEST_WAL = 64_000_000  # bytes that it keeps after a burst

Identity = tuple[int, int]


class NewerStoreError(BadRecordError):
    """The file was written by a newer Nightschool: it is not ours to change."""

    def __init__(self, path: Path, version: int) -> None:
        super().__init__(
            f"{path} has version {version}, this Nightschool knows {len(MIGRATIONS)}",
            "use the newer Nightschool, or move the file away: a new one is begun",
        )


def connect(path: Path) -> sqlite3.Connection:
    """Open the store for writing; raises as `opened` does."""
    return opened(path)[0]


def opened(path: Path) -> tuple[sqlite3.Connection, Identity | None]:
    """The store for writing, made or brought up to date if need be, and which file it is.

    Raises:
        NewerStoreError: a newer Nightschool has written it; nothing was changed.
        sqlite3.Error, OSError: the disk refuses, or the file is corrupt.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with changing(path):
        db = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
        try:
            migrate(db, path)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
            db.execute(f"PRAGMA journal_size_limit = {_LARGEST_WAL}")
            return db, identity(path)
        except BaseException:
            db.close()
            raise


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Play the migrations that the file has not seen, all or none.

    Raises:
        NewerStoreError: it has seen more than we have.
        sqlite3.Error: the disk refuses, or the file is corrupt.
    """
    if is_current(db, path):
        return
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a file without tables; any other stays as it is
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db, "EXCLUSIVE"):
        for script in MIGRATIONS[version(db, path) :]:
            for statement in _statements(script):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def version(db: sqlite3.Connection, path: Path) -> int:
    """How many migrations the file has seen.

    Raises:
        NewerStoreError: more than we have.
    """
    seen = int(db.execute("PRAGMA user_version").fetchone()[0])
    if seen > len(MIGRATIONS):
        raise NewerStoreError(path, seen)
    return seen


def is_current(db: sqlite3.Connection, path: Path) -> bool:
    """Whether it has seen all of them.

    Raises:
        NewerStoreError: more than all.
    """
    return version(db, path) == len(MIGRATIONS)


@contextmanager
def transaction(db: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Everything of the block, or nothing."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has done so itself after some errors
            db.execute("ROLLBACK")
        raise


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """One process at a time makes, migrates, or replaces the file."""
    with locked(path.with_name(f"{path.name}.lock"), "another process", wait=True):
        yield


def identity(path: Path) -> Identity | None:
    """Which file has this name now."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def is_corrupt(error: BaseException) -> bool:
    """Whether an error says that the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def set_aside(path: Path, broken: Identity | None, error: BaseException) -> None:
    """Give a corrupt file, and what belongs to it, another name, unless another process has done so."""
    with changing(path):
        if broken is None or identity(path) != broken:
            return
        aside = _renamed(path)
    done = f"it is kept as {aside.name} and a new one begins; `nightschool metrics rebuild` fills it from the logs"
    logger.error("%s is corrupt (%s): %s", path, error, done)


def replace(path: Path, draft: Path, keep: bool) -> None:
    """Give the name to another file, a store that nobody has open; the caller's transaction keeps writers away.

    Whoever has the old one open finds out before the next write. With `keep` the old one gets another name.
    """
    sync(draft)
    with changing(path):
        if keep:
            _renamed(path)
        for suffix in ("-wal", "-shm"):  # SQLite would take them for the new one's
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        draft.replace(path)
        sync_folder(path.parent)


def _renamed(path: Path) -> Path:
    stem = f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (stem, *(f"{stem}-{number}" for number in range(2, 100)))
    aside = next(each for each in map(path.with_name, names) if not each.exists())
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
