"""Reads another program's SQLite database without leaving a trace beside it.

SQLite itself is not that careful: a read-only connection to a database in WAL mode makes `-wal` and `-shm` files where
there are none, and writes its read mark into a `-shm` that is there. So the way in depends on what lies there:

    rollback journal          mode=ro, which takes a shared lock and writes nothing
    … left in mid-write       a private copy of both, in which SQLite may take the write back
    WAL, `-shm` beside it     mode=ro with a read-only `-shm`: somebody has it open, or was killed
    WAL, `-wal` but no `-shm` a private copy of both: somebody copied the files
    WAL, no log to read       immutable=1, and afterwards a look whether somebody wrote meanwhile
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.lib.errors import BadRecordError, BusyError, NightschoolError, UnavailableError

PATIENCE = 5.0  # seconds to wait for a lock
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CLOSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_IOERR)
_MAGIC = b"SQLite format 3\0"
_WAL = 2  # the read version in byte 19 of the header


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection for the block; its rows are `sqlite3.Row`. Text that is not UTF-8 comes as bytes.

    Raises:
        BadRecordError: not a database, damaged, or without a table or column that the block asked for.
        BusyError: locked for longer than a few seconds, or changed in a way that makes what was read worthless.
        UnavailableError: it is not there, or may not be read.
    """
    try:
        with _way_in(path) as uri, closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
            connection.row_factory = sqlite3.Row
            connection.text_factory = _text
            connection.execute("BEGIN")  # one view of the whole database, however long the reading takes
            yield connection
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}", "check its rights") from error
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns; none if there is no such table."""
    return {str(row["name"]) for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def require(connection: sqlite3.Connection, path: Path, table: str, needed: set[str], program: str) -> set[str]:
    """All columns of a table that cannot be done without.

    Raises:
        BadRecordError: the table or one of the `needed` columns is missing (named).
    """
    present = columns(connection, table)
    missing = sorted(needed - present)
    if missing:
        what = f"column {table}.{missing[0]}" if present else f"table {table}"
        raise BadRecordError(
            f"{path}: no {what}", f"this is no database of {program}, or one of a newer schema than is known here"
        )
    return present


def selected(table: str, present: set[str], wanted: tuple[str, ...]) -> str:
    """A query for the wanted columns; those that this version of the table lacks come as NULL."""
    parts = [f'"{name}"' if name in present else f'NULL AS "{name}"' for name in wanted]
    return f'SELECT {", ".join(parts)} FROM "{table}"'


@contextmanager
def _way_in(path: Path) -> Iterator[str]:
    """The URI to open; see the table above."""
    if not path.is_file():
        raise UnavailableError(f"no file {path}", "correct the path, or take the source out of nightschool.toml")
    with path.open("rb") as file:
        header = file.read(20)
    if not header.startswith(_MAGIC):
        raise BadRecordError(f"{path}: not an SQLite database", "correct the path, or restore the file from a backup")
    log, shared, journal = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))
    if len(header) < 20 or header[19] != _WAL:
        if _size(journal) and _needs_rollback(path):
            with _copied(path, journal) as uri:
                yield uri
        else:
            yield _uri(path, "mode=ro")
    elif log.exists() and shared.exists():
        yield _uri(path, "mode=ro&readonly_shm=1")
    elif _size(log):
        with _copied(path, log) as uri:
            yield uri
    else:
        before = path.stat()
        yield _uri(path, "mode=ro&immutable=1")
        after = path.stat()
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise BusyError(f"{path} was written to while it was being read", "the next night tries again")


@contextmanager
def _copied(path: Path, beside: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="nightschool-") as folder:
        for file in (path, beside):
            shutil.copyfile(file, Path(folder, file.name))
        yield _uri(Path(folder, path.name), "mode=rw")


def _needs_rollback(path: Path) -> bool:
    """Whether the journal beside it is that of a writer who is gone."""
    with closing(sqlite3.connect(_uri(path, "mode=ro"), uri=True, timeout=PATIENCE)) as connection:
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
                return True
            raise
    return False


def _uri(path: Path, how: str) -> str:
    return f"file:{quote(str(path.resolve()))}?{how}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _text(raw: bytes) -> Any:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _explained(path: Path, error: sqlite3.Error) -> NightschoolError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _BUSY:
        return BusyError(f"{path} is locked", "some program writes to it; the next night tries again")
    if code in _CLOSED:
        return UnavailableError(f"cannot read {path}: {error}", "check its rights, and those of its folder")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return BadRecordError(f"{path}: damaged ({error})", "restore it from a backup")
    return BadRecordError(f"{path}: {error}", "a foreign database, or one of a newer schema than is known here")
