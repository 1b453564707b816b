"""What is certainly odd about a program, without running it."""

from collections.abc import Iterator

from pipeline.evolution.assembler import Program

_NEVER_GO_ON = {"JMP", "RET", "HALT"}
_STORE_ANYTHING = {"STOREI", "EXEC"}


def notes(program: Program) -> list[str]:
    """One sentence for each, by line: names that are never stored, labels nobody jumps to, code nobody reaches."""
    found = [*_never_stored(program), *_never_reached(program)]
    jumps = {at.operand for at in program.instructions}
    unused = [f"label {label!r} is never used" for label in program.labels if label not in jumps]
    return [f"line {line}: {said}" for line, said in sorted(found)] + unused


def _never_stored(program: Program) -> Iterator[tuple[int, str]]:
    if any(at.operation in _STORE_ANYTHING for at in program.instructions):
        return
    stored = {at.operand for at in program.instructions if at.operation == "STORE"}
    for at in program.instructions:
        if at.operation == "LOAD" and at.operand not in stored:
            yield at.line, f"nothing is ever stored under {at.operand!r}"


def _never_reached(program: Program) -> Iterator[tuple[int, str]]:
    """Only the first line of each such stretch."""
    targets = set(program.labels.values())
    for position, (before, at) in enumerate(zip(program.instructions, program.instructions[1:], strict=False), 1):
        if before.operation in _NEVER_GO_ON and position not in targets:
            yield at.line, f"{at.operation} is never reached"
