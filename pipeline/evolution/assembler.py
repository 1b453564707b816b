r"""Sovereign VM assembly: text → instructions.

One instruction a line, `;` starts a comment, `name:` is a label:

    PUSH #7          push the integer 7
    PUSH "text"      push a text; \" \\ \n \t stand for a quote, a backslash, a new line, a tabulator
    STORE "total"    pop into memory
    JZ done          jump to a label

The operations are in `pipeline.evolution.operations`.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from pipeline.evolution.faults import Fault, Value, VmError
from pipeline.evolution.operations import OPERATIONS


class Instruction(NamedTuple):
    """One operation with its operand (if it takes one) and the source line it stands on."""

    operation: str
    operand: Value | None
    line: int


class Program(NamedTuple):
    """Assembled code; `labels` maps a name to an index into `instructions`."""

    instructions: tuple[Instruction, ...]
    labels: dict[str, int]


# A backslash that escapes nothing stands for itself, also right before the closing quote: there is one way to read any
# text, found without trying many.
_QUOTED = r'"(?P<quoted>(?:[^"\\]|\\["\\nt]|\\(?!["\\nt]))*\\?)"'
_OPERAND = rf"(?:\#(?P<number>-?\d{{1,18}})|{_QUOTED}|(?P<name>[^\W\d]\w*))"
_LINE = re.compile(rf"\s*(?:(?P<label>[^\W\d]\w*):|(?P<operation>[A-Z]+)(?:\s+{_OPERAND})?)?\s*(?:;.*)?")
_ESCAPE = re.compile(r'\\(["\\nt])')
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_OPERANDS = {"value": ("number", "quoted"), "name": ("quoted",), "label": ("name",)}
_SHORT = 80  # characters; longer lines are read anew each time, so that the cache stays small


class _Label(str):
    """A line that names a place."""

    __slots__ = ()


def assemble(source: str) -> Program:
    """Translate assembly text.

    Raises:
        VmError: category `syntax`, with the line.
    """
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    jumps: list[Instruction] = []
    for line, text in enumerate(source.splitlines(), start=1):
        try:
            read = _read_again(text) if len(text) <= _SHORT else _read(text)
        except Fault as fault:
            raise VmError(fault.category, str(fault), line) from None
        if read is None:
            continue
        if isinstance(read, _Label):
            if read in labels:
                raise VmError("syntax", f"label {read!r} stands twice", line)
            labels[read] = len(instructions)
            continue
        instruction = Instruction(*read, line)
        instructions.append(instruction)
        if OPERATIONS[instruction.operation].operand == "label":
            jumps.append(instruction)
    for jump in jumps:
        if jump.operand not in labels:
            raise VmError("syntax", f"no label {jump.operand!r}", jump.line)
    return Program(tuple(instructions), labels)


def _read(text: str) -> "_Label | tuple[str, Value | None] | None":
    """One line; none: there is nothing on it."""
    found = _LINE.fullmatch(text)
    if found is None or (found["operation"] and found["operation"] not in OPERATIONS):
        raise _complaint(text)
    if found["label"]:
        return _Label(found["label"])
    if not found["operation"]:
        return None
    kind = OPERATIONS[found["operation"]].operand
    if kind == "none" or found.lastgroup not in _OPERANDS[kind]:
        if kind == "none" and found.lastgroup == "operation":
            return found["operation"], None
        raise _complaint(text)
    written = found[found.lastgroup]
    if found.lastgroup == "number":
        return found["operation"], int(written)
    if found.lastgroup == "quoted":
        return found["operation"], _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], written)
    return found["operation"], written


_read_again = lru_cache(maxsize=4096)(_read)  # answers to one kind of question repeat the same lines


def _complaint(text: str) -> Fault:
    """What is wrong with a line that cannot be read."""
    name, _, operand = text.strip().partition(" ")
    operation = OPERATIONS.get(name)
    if operation is None:
        return Fault("syntax", f"unknown instruction {text.strip()[:40]!r}")
    if operation.operand == "none":
        return Fault("syntax", f"{name} takes no operand")
    if not operand.strip() or operand.lstrip().startswith(";"):
        return Fault("syntax", f"{name} needs a {operation.operand}")
    return Fault("syntax", f"{name} cannot take {operand.strip()[:40]!r}")
