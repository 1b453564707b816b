"""Reads what people export: JSON lines, a JSON list, or an object around one, however damaged.

A torn last line, zeros that a power cut left, bytes that are no UTF-8, a line that is no JSON, a row of many megabytes:
each is added to the problems with its line, and the rest goes on.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from pipeline.lib.errors import UnavailableError
from pipeline.lib.problems import Problems

Record = dict[str, Any]
Placed = tuple[str, Record]

LARGEST = 16 * 2**20  # bytes of one row; nobody learns from a longer one
_ENVELOPES = ("data", "observations", "traces", "scores", "runs", "feedback", "feedbacks", "records", "items")
_DOCUMENT = re.compile(rb"\s*(\[|\{\s*$|\{\s*\"(%s)\"\s*:\s*\[)" % "|".join(_ENVELOPES).encode())
_SPACE = re.compile(r"[\s,\0]*")


def read(paths: Sequence[Path], problems: Problems) -> Iterator[Placed]:
    """Each record with its place, `file line 7`.

    Raises:
        UnavailableError: a file is not there, or may not be read.
    """
    for path in paths:
        try:
            with path.open("rb") as file:
                first = _first_line(file)
                if _DOCUMENT.match(first) and not _complete(first):
                    yield from _document(path, file.read(), problems)
                else:
                    yield from _lines(path, file, problems)
        except OSError as error:
            raise UnavailableError(f"cannot read {path}: {error.strerror}", "correct its path or rights") from error


def _first_line(file: IO[bytes]) -> bytes:
    """The first line that is not blank, as far as one may be long; the file is wound back."""
    line = b"\n"
    while line and not line.strip(b"\0\r\n\t "):
        line = file.readline(LARGEST)
    file.seek(0)
    return line


def _complete(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _lines(path: Path, file: IO[bytes], problems: Problems) -> Iterator[Placed]:
    number = 0
    while line := file.readline(LARGEST + 1):
        number += 1
        place = f"{path.name} line {number}"
        if len(line) > LARGEST:
            while line and not line.endswith(b"\n"):
                line = file.readline(2**20)
            problems.add("a row of more than 16 MB", place)
            continue
        stripped = line.strip(b"\0\r\n\t ").removeprefix(b"\xef\xbb\xbf")
        if stripped:
            yield from _records(stripped, place, problems, torn=not line.endswith(b"\n"))


def _records(raw: bytes, place: str, problems: Problems, torn: bool = False) -> Iterator[Placed]:
    """The records in one JSON text."""
    try:
        value = _parsed(raw)
    except (ValueError, RecursionError):
        problems.add(_reason(raw, torn), place)
        return
    for record in _unwrapped(value):
        if isinstance(record, dict):
            yield place, record
        else:
            problems.add("not a JSON object", place)


def _parsed(raw: bytes) -> Any:
    """A JSON text. What Python and JavaScript write besides is mended: NaN is none, half a character is "?"."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = json.loads(raw, parse_constant=lambda _: None)
        return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _reason(raw: bytes, torn: bool) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return "half-written last line" if torn else "not JSON"


def _unwrapped(value: Any) -> list[Any]:
    """The rows of a list, or of an object that is only there to hold lists of them; else the value itself."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and "id" not in value:
        held = [value[key] for key in _ENVELOPES if isinstance(value.get(key), list)]
        if held:
            return [record for records in held for record in records]
    return [value]


def _document(path: Path, raw: bytes, problems: Problems) -> Iterator[Placed]:
    """A JSON list, an object around one, or objects one behind the other, over any number of lines.

    Bytes that are no UTF-8 are carried along as lone surrogates, which cannot be encoded: only their row is lost.
    """
    if len(raw) <= LARGEST and _complete(raw):
        yield from _records(raw, path.name, problems)
        return
    text = raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff").rstrip("\0\r\n\t ")
    for line, segment in _segments(text):
        place = f"{path.name} line {line}"
        try:
            row = segment.encode()
        except UnicodeEncodeError:
            problems.add("not UTF-8", place)
            continue
        if len(row) > LARGEST:
            problems.add("a row of more than 16 MB", place)
        else:
            yield from _records(row, place, problems, torn=segment == text[-len(segment) :])


def _segments(text: str) -> Iterator[tuple[int, str]]:
    """The rows of a document as text, each with its line. Behind a damaged one the next that begins a line is found."""
    decoder = json.JSONDecoder()
    position, enveloped = _first_row(text)
    begin = text.rfind("\n", 0, position) + 1
    next_row = "\n" + (text[begin:position] if text[begin:position].isspace() else "") + text[position : position + 1]
    line, counted = 1, 0
    while position < len(text):
        if text[position] in "[]":  # another list behind this one, unless there is an envelope around it
            position = len(text) if enveloped else _after_space(text, position + 1)
            continue
        line += text.count("\n", counted, position)
        counted = position
        try:
            end = decoder.raw_decode(text, position)[1]
        except (json.JSONDecodeError, RecursionError):
            following = text.find(next_row, position + 1)
            end = following if following >= 0 else len(text)
        yield line, text[position:end]
        position = _after_space(text, end)


def _first_row(text: str) -> tuple[int, bool]:
    """Where the first row begins: in a list, or the list in an envelope, behind its bracket; whether that has one."""
    head = _DOCUMENT.match(text[:200].encode("utf-8", "surrogateescape"))
    bracket = head and head[0].endswith(b"[")
    return _after_space(text, text.index("[") + 1 if bracket else 0), bool(bracket) and text[0] == "{"


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
