"""Sovereign VM assembly: text → instructions.

One instruction a line, `;` starts a comment, `name:` is a label:

    PUSH #7          push the integer 7
    PUSH "text"      push a string
    STORE "total"    pop into memory
    JZ done          jump to a label
"""

import re
from dataclasses import dataclass

Value = int | str


class VmError(Exception):
    """A program that cannot be assembled or that failed while running.

    `category` is one of syntax, type, stack, arithmetic, limit, memory; `line` counts from 1 in the source.
    """

    def __init__(self, category: str, message: str, line: int) -> None:
        super().__init__(f"line {line}: {category} error: {message}")
        self.category = category
        self.line = line


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation with its operand (if it takes one) and the source line it stands on."""

    operation: str
    operand: Value | None
    line: int


@dataclass(frozen=True, slots=True)
class Program:
    """Assembled code; `labels` maps a name to an index into `instructions`."""

    instructions: tuple[Instruction, ...]
    labels: dict[str, int]


# What each operation expects behind it: nothing, a value (#7 or "text"), a quoted name, or a label.
OPERANDS = {
    **dict.fromkeys(
        [
            "ADD",
            "SUB",
            "MUL",
            "DIV",
            "MOD",
            "NEG",
            "EQ",
            "NE",
            "LT",
            "LE",
            "GT",
            "GE",
            "NOT",
            "AND",
            "OR",
            "DUP",
            "POP",
            "SWAP",
            "OVER",
            "CONCAT",
            "LENGTH",
            "PRINT",
            "RET",
            "HALT",
        ],
        "none",
    ),
    "PUSH": "value",
    "STORE": "name",
    "LOAD": "name",
    **dict.fromkeys(["JMP", "JZ", "JNZ", "CALL"], "label"),
}

_LABEL = re.compile(r"([A-Za-z_]\w*):\s*$")
_LINE = re.compile(r"([A-Z]+)(?:\s+(\S.*?))?\s*$")
_NUMBER = re.compile(r"#(-?\d{1,18})$")
_QUOTED = re.compile(r'"([^"]*)"$')
_NAME = re.compile(r"[A-Za-z_]\w*$")


def assemble(source: str) -> Program:
    """Translate assembly text.

    Raises:
        VmError: category `syntax`, with the line.
    """
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for line, raw in enumerate(source.splitlines(), start=1):
        text = _without_comment(raw).strip()
        if not text:
            continue
        if label := _LABEL.match(text):
            if label[1] in labels:
                raise VmError("syntax", f"label {label[1]!r} stands twice", line)
            labels[label[1]] = len(instructions)
        else:
            instructions.append(_instruction(text, line))
    for instruction in instructions:
        if OPERANDS[instruction.operation] == "label" and instruction.operand not in labels:
            raise VmError("syntax", f"no label {instruction.operand!r}", instruction.line)
    return Program(tuple(instructions), labels)


def _without_comment(text: str) -> str:
    """Cut at the first `;` that is not inside quotes."""
    quoted = False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == ";" and not quoted:
            return text[:position]
    return text


def _instruction(text: str, line: int) -> Instruction:
    match = _LINE.match(text)
    if match is None or match[1] not in OPERANDS:
        raise VmError("syntax", f"unknown instruction {text[:40]!r}", line)
    operation, written = match[1], match[2]
    kind = OPERANDS[operation]
    if kind == "none":
        if written is not None:
            raise VmError("syntax", f"{operation} takes no operand", line)
        return Instruction(operation, None, line)
    if written is None:
        raise VmError("syntax", f"{operation} needs a {kind}", line)
    return Instruction(operation, _operand(kind, written, operation, line), line)


def _operand(kind: str, written: str, operation: str, line: int) -> Value:
    number, quoted = _NUMBER.match(written), _QUOTED.match(written)
    if kind == "value" and number:
        return int(number[1])
    if kind in ("value", "name") and quoted:
        return quoted[1]
    if kind == "label" and _NAME.match(written):
        return written
    raise VmError("syntax", f"{operation} cannot take {written[:40]!r}", line)
