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

from pipeline.evolution.faults import FaultError, Value, VmError
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


# A backslash that escapes nothing stands for itself, also right before the closing quote. There is one way to read any
# line, found without trying many (++ and *+ never give back): models write lines of any length.
_QUOTED = r'"(?P<quoted>(?:[^"\\]|\\["\\nt]|\\(?!["\\nt]))*\\?)"'
_OPERAND = rf"(?:\#(?P<number>-?[0-9]{{1,18}})|{_QUOTED}|(?P<name>[^\W\d]\w*))"
_LINE = re.compile(rf"\s*+(?:(?P<label>[^\W\d]\w*+):|(?P<operation>[A-Z]++)(?:\s++{_OPERAND})?)?\s*+(?:;.*)?")
_ESCAPE = re.compile(r'\\(["\\nt])')
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_SPECIAL = re.compile(r'["\\\n\t]')
_WRITTEN = {character: f"\\{letter}" for letter, character in _ESCAPED.items()}
# What the last group of a line that matched may be, by what the operation wants behind it.
_OPERANDS = {
    "none": ("operation",),
    "value": ("number", "quoted"),
    "name": ("quoted",),
    "text": ("quoted",),
    "label": ("name",),
}
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
    for line, text in enumerate(lines_of(source), start=1):
        try:
            read = _read_again(text) if len(text) <= _SHORT else _read(text)
        except FaultError as fault:
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


def lines_of(source: str) -> list[str]:
    """The lines of a program. Only a new line ends one: what else may separate lines can stand in a quoted text."""
    lines = source.split("\n")
    return lines if lines[-1] else lines[:-1]


def has_instruction(source: str) -> bool:
    """Whether at least one line is an instruction; prose has none."""
    for line in lines_of(source):
        try:
            if isinstance(_read(line), tuple):
                return True
        except FaultError:
            continue
    return False


def written(instruction: Instruction) -> str:
    """The instruction as a line that assembles to it."""
    operation, operand, _ = instruction
    if operand is None:
        return operation
    if isinstance(operand, int):
        return f"{operation} #{operand}"
    if OPERATIONS[operation].operand == "label":
        return f"{operation} {operand}"
    return f'{operation} "{_SPECIAL.sub(lambda found: _WRITTEN[found[0]], operand)}"'


def _read(text: str) -> "_Label | tuple[str, Value | None] | None":
    """One line; none: there is nothing on it."""
    found = _LINE.fullmatch(text)
    if found is None or (found["operation"] and found["operation"] not in OPERATIONS):
        raise _complaint(text)
    if found["label"]:
        return _Label(found["label"])
    if not found["operation"]:
        return None
    name, shape = found["operation"], str(found.lastgroup)
    if shape not in _OPERANDS[OPERATIONS[name].operand]:
        raise _complaint(text)
    if shape == "operation":
        return name, None
    if shape == "number":
        return name, int(found[shape])
    return name, found[shape] if shape == "name" else _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], found[shape])


_read_again = lru_cache(maxsize=4096)(_read)  # answers to one kind of question repeat the same lines


def _complaint(text: str) -> FaultError:
    """What is wrong with a line that cannot be read."""
    name, _, operand = text.strip().partition(" ")
    operation = OPERATIONS.get(name)
    if operation is None:
        return FaultError("syntax", f"unknown instruction {text.strip()[:40]!r}")
    if operation.operand == "none":
        return FaultError("syntax", f"{name} takes no operand")
    if not operand.strip() or operand.lstrip().startswith(";"):
        return FaultError("syntax", f"{name} needs a {operation.operand}")
    return FaultError("syntax", f"{name} cannot take {operand.strip()[:40]!r}")
