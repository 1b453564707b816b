"""Publishing files so that a reader, or a power cut, never finds a half-written one.

Everything is written into a temporary sibling, fsynced, renamed over its name, and the folder fsynced.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from pipeline.lib.errors import BadRecordError, BusyError, DiskError


def sync(file: Path) -> None:
    """Force a file's content to the disk."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def publishing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary sibling for writing; it takes the name `path` only when the block ends well.

    Raises:
        DiskError: the disk is full or refuses; `path` is what it was before.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise DiskError(
            f"cannot write {path}: {error.strerror}", "free some space or check the folder's rights"
        ) from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Publish a whole file."""
    with publishing(path) as file:
        file.write(content)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Publish a JSON manifest; `schema` is put first."""
    write_bytes(path, orjson.dumps({"schema": 1, **value}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON manifest.

    Raises:
        BadRecordError: not readable, not JSON, or not an object.
    """
    try:
        value = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadRecordError(f"cannot read {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise BadRecordError(f"{path} line {error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(value, dict):
        raise BadRecordError(f"{path}: expected a JSON object")
    return value


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def point(link: Path, target: str) -> None:
    """Point the symlink `link` at its sibling `target` in one step; no reader finds it missing.

    Raises:
        DiskError: the disk is full or refuses.
    """
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(link)
        sync_folder(link.parent)
    except OSError as error:
        raise DiskError(
            f"cannot point {link} at {target}: {error.strerror}", "free some space or check the folder's rights"
        ) from error


def publish_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a temporary sibling, then give it the name `folder`, which must not exist yet."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        fill(temporary)
        temporary.chmod(0o755)
        for file in temporary.rglob("*"):
            if file.is_file():
                sync(file)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_disk(folder: Path, gigabytes: float) -> None:
    """Refuse to start what could not be finished.

    Raises:
        DiskError: less than `gigabytes` (10⁹ bytes) are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise DiskError(
            f"{free:.1f} GB free in {folder}, {gigabytes:g} GB needed",
            "free some space, or lower night.minimum_disk_gb if you know better",
        )


@contextmanager
def locked(path: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Hold an exclusive lock for the block; the kernel lets go of it when the process dies.

    Args:
        path: the lock file.
        what: who else may hold it, in words.
        wait: for the other one to be done; for blocks of milliseconds.

    Raises:
        BusyError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise BusyError(f"{what} is already running", f"wait for it; the lock is {path}") from error
        yield


def is_held(path: Path) -> bool:
    """Whether somebody holds this lock; looking takes a shared one for a moment."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
