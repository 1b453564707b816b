"""JSON lines that survive kills and power cuts.

An append goes out in one `write`. A crash can still leave a torn or NUL-filled last line: readers skip it, the next
appender cuts it off first. A bad line anywhere else is somebody's mistake and is reported with its number.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from pipeline.lib.errors import BadRecordError, DiskError, UnavailableError
from pipeline.lib.files import publishing
from pipeline.lib.problems import Problems

Record = dict[str, Any]

_BLOCK = 1 << 18  # bytes read at once
_LONGEST = 16_000_000  # bytes of a line that a tolerant reader takes
_ROOM = "free some space or check its rights"


def read(path: Path) -> Iterator[Record]:
    """Yield the records of a file; an absent file has none.

    Raises:
        BadRecordError: a complete line is not a JSON object (file and line named).
    """
    for _, record in read_numbered(path):
        yield record


def read_numbered(path: Path) -> Iterator[tuple[int, Record]]:
    """Like `read`, with the line number of each record."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n") and not _complete(line):
                return  # torn by a crash: the next appender removes it
            stripped = line.strip()
            if not stripped:
                continue
            if not stripped.strip(b"\0"):
                continue  # a power cut left zeros; whoever wrote behind them lost nothing
            try:
                record = orjson.loads(stripped)
            except orjson.JSONDecodeError as error:
                raise BadRecordError(
                    f"{path} line {number}: not JSON ({error.msg})",
                    "mend or remove that line; nothing was changed",
                ) from error
            if not isinstance(record, dict):
                raise BadRecordError(f"{path} line {number}: expected a JSON object", "mend or remove that line")
            yield number, record


def read_tolerant(path: Path, problems: Problems) -> Iterator[Record]:
    """The records of a file in which some lines cannot be read: those are added to `problems`, the rest goes on.

    One at a time, for a row that is let go before the next one comes costs half of what it does in a batch. Memory
    stays bounded whatever the file holds: a line longer than 16 MB is skipped, and counted, too.

    Raises:
        UnavailableError: the file is not there, or may not be read.
    """
    loads, number = orjson.loads, 0
    for block in blocks(path, problems):
        for line in block.split(b"\n"):
            number += 1
            try:
                record = loads(line)
            except orjson.JSONDecodeError as error:
                if line.strip(b" \t\r\0"):
                    problems.add(f"not JSON ({error.msg.partition(':')[0]})", f"{path.name} line {number}")
                continue
            if type(record) is dict:
                yield record
            else:
                problems.add("not a JSON object", f"{path.name} line {number}")


def blocks(path: Path, problems: Problems) -> Iterator[bytes]:
    """A file in pieces of whole lines; a line that is too long comes as an empty one.

    Raises:
        UnavailableError: the file is not there, or may not be read.
    """
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}", "correct the path, or its rights") from error
    with file:
        rest, too_long, number = b"", False, 1
        while block := file.read(_BLOCK):
            whole, newline, tail = block.rpartition(b"\n")
            if newline:
                _, separator, others = whole.partition(b"\n")
                yield separator + others if too_long else rest + whole
                rest, too_long = tail, False
                number += whole.count(b"\n") + 1
            elif not too_long:
                rest += block
            if len(rest) > _LONGEST:
                problems.add("a line of more than 16 MB", f"{path.name} line {number}")
                rest, too_long = b"", True
        if rest:
            yield rest


def write(path: Path, records: Iterable[Record]) -> int:
    """Publish a whole file at once; returns the number of records."""
    count = 0
    with publishing(path) as file:
        for count, record in enumerate(records, start=1):  # noqa: B007 - the last count is the result
            file.write(encode(record))
    return count


def append(path: Path, records: Iterable[Record], durable: bool = True) -> None:
    """Add records at the end, after cutting off what a crash may have left there.

    Args:
        path: the file; made if it is not there.
        records: what to add.
        durable: with it they survive a power cut from now on; without it only the end of this process.

    Raises:
        DiskError: the disk is full or refuses; a torn line, if any, is cut off by the next append.
    """
    lines = b"".join(encode(record) for record in records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        with open(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # every writer takes it: nothing that one has added is cut off by another
            size, length = path.stat().st_size, _repaired_length(path)
            if length < size:
                file.truncate(length)
            view = memoryview(lines)
            while view:
                view = view[file.write(view) :]
            fcntl.flock(file, fcntl.LOCK_UN)  # nobody waits for the disk
            if durable:
                os.fsync(descriptor)
    except OSError as error:
        raise DiskError(f"cannot append to {path}: {error.strerror}", _ROOM) from error


class Appender:
    """Keeps a file open for one writer who appends often: microseconds for a record, which survives this process.

    `append` looks at the whole of its last line each time; this does so once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def append(self, record: Record) -> None:
        """Add one record.

        Raises:
            DiskError: the disk is full or refuses; what it took of the record is cut off before the next.
        """
        line = encode(record)
        try:
            descriptor = self._open()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            taken = os.write(descriptor, line)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except OSError as error:
            self.close()
            raise DiskError(f"cannot append to {self.path}: {error.strerror}", _ROOM) from error
        if taken < len(line):
            self.close()
            raise DiskError(f"cannot append to {self.path}: it took a part of a line", _ROOM)

    def close(self) -> None:
        """Let go of the file; the next append opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is not None and not self._is_elsewhere(self._descriptor):
            return self._descriptor
        self.close()
        append(self.path, [], durable=False)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        return self._descriptor

    def _is_elsewhere(self, descriptor: int) -> bool:
        """Whether somebody has moved or removed the file that is open."""
        try:
            return not os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return True


def encode(record: Record) -> bytes:
    """One record as one line, newline included."""
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _complete(line: bytes) -> bool:
    """Whether a last line without a newline is a record all the same (files written by other programs)."""
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _repaired_length(path: Path) -> int:
    """The length of the file up to and including its last whole line.

    A whole record that only lacks its newline is kept: it gets the newline.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        end = size
        while end:
            start = _line_start(file, end)
            file.seek(start)
            line = file.read(end - start)
            if line.endswith(b"\n") and line.strip(b"\0\n "):
                return end
            if not line.endswith(b"\n") and _complete(line):
                file.seek(end)
                file.write(b"\n")
                return end + 1
            end = start
    return 0


def _line_start(file: Any, end: int) -> int:
    """The offset at which the line that ends at `end` begins."""
    block = 64 * 1024
    position = end - 1  # the newline at the very end belongs to the line itself
    while position > 0:
        begin = max(0, position - block)
        file.seek(begin)
        newline = file.read(position - begin).rfind(b"\n")
        if newline >= 0:
            return int(begin + newline + 1)
        position = begin
    return 0
