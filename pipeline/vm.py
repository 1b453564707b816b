"""vm: run a program of the Sovereign VM, watch it step by step, or only check it.

reads   the program; what a model of the providers writes for it (LLMGEN, EVOLVE)
writes  nothing
"""

import dataclasses
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.backends.providers.writing import ProviderWriter
from pipeline.evolution import machine
from pipeline.evolution.assembler import Instruction, assemble, written
from pipeline.evolution.faults import Value, VmError
from pipeline.evolution.machine import Limits, Machine, State
from pipeline.evolution.review import notes
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, NightschoolError, UnavailableError, UsageError

STANDARD_INPUT = Path("-")
SHOWN_STEPS = 1000  # of a trace; more is nothing that a person reads
SHOWN_VALUES = 10  # of the stack, the topmost
SHOWN_CHARACTERS = 60  # of a text

_HINTS = {
    "syntax": "docs/vm.md lists the operations",
    "limit": "--limit NAME=VALUE allows more; docs/vm.md lists the limits",
    "model": "see [providers] in nightschool.toml",
    "time-out": "--set vm.timeout=SECONDS waits longer",
}
_WATCH_IT = "`nightschool vm trace` shows every step"

Show = Callable[[dict[str, Any]], None]


def run(settings: Settings, file: Path, overrides: list[str]) -> dict[str, Any]:
    """Execute the program in a file.

    Args:
        settings: the providers that LLMGEN and EVOLVE ask.
        file: `-` is the standard input.
        overrides: limits as NAME=VALUE.

    Raises:
        UsageError: no such file, no such limit.
        BadRecordError: it cannot be assembled, or it failed while running (line named).
        UnavailableError: it failed because of a model.
    """
    return _result(_executed(settings, file, limits_from(overrides), None))


def trace(settings: Settings, file: Path, overrides: list[str], show: Show) -> dict[str, Any]:
    """As `run`; `show` gets every step as it is done.

    A step is `{step, line, instruction, inside, stack, stack_size, memory, output}`: how many EXECs it is inside, the
    top of the stack after it, what it changed in memory and printed. Long texts are cut, and after SHOWN_STEPS none is
    shown.
    """
    return _result(_executed(settings, file, limits_from(overrides), _Tracer(show)))


def check(file: Path) -> dict[str, Any]:
    """Assemble only, and say what is odd.

    Raises:
        UsageError: no such file.
        BadRecordError: it cannot be assembled (line named).
    """
    try:
        program = assemble(read_program(file, Limits().source))
    except VmError as error:
        raise _named(file, error) from error
    return {"instructions": len(program.instructions), "labels": len(program.labels), "notes": notes(program)}


def limits_from(overrides: list[str]) -> Limits:
    """The usual limits but for those named.

    Raises:
        UsageError: not NAME=VALUE, or no such limit.
    """
    names = [each.name for each in dataclasses.fields(Limits)]
    changed: dict[str, int] = {}
    for each in overrides:
        name, _, value = each.partition("=")
        name = name.replace("-", "_")
        if name not in names or not value.isascii() or not value.isdigit():
            raise UsageError(f"--limit {each}: expected NAME=VALUE", f"the limits are {', '.join(names)}")
        changed[name] = int(value[:1000])
    try:
        return Limits(**changed)
    except ValueError as error:
        raise UsageError(str(error), "docs/vm.md lists the limits") from error


def read_program(file: Path, most: int) -> str:
    """The text of a file, or of the standard input.

    Raises:
        UsageError: it is no file, or cannot be read.
        BadRecordError: it is no text, or has more than `most` bytes.
    """
    try:
        content = _head(file, most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    if len(content) > most:
        raise BadRecordError(
            f"{file} has more than {most} bytes",
            "that is no program; `vm run` and `vm trace` take more with --limit source=…",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRecordError(
            f"{file} is no text: byte {error.start} is not UTF-8", "a program is plain text"
        ) from error
    if "\0" in text:
        raise BadRecordError(f"{file} is no text: it holds zero bytes", "a program is plain text")
    return text


def _head(file: Path, most: int) -> bytes:
    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read(most)
    # Opening a pipe that nobody writes to would wait for ever, and a device may never end.
    if file.exists() and not file.is_file():
        raise UsageError(f"{file} is not a regular file", "`-` reads the standard input")
    with file.open("rb") as opened:
        return opened.read(most)


def _executed(settings: Settings, file: Path, limits: Limits, watch: machine.Watch | None) -> State:
    source = read_program(file, limits.source)
    with closing(ProviderWriter(settings, limits.text)) as writer:
        try:
            return machine.run(source, limits, writer, watch)
        except VmError as error:
            raise _named(file, error) from error


def _named(file: Path, error: VmError) -> NightschoolError:
    name = "standard input" if file == STANDARD_INPUT else file
    hint = _HINTS.get(error.category, _WATCH_IT)
    if error.category in ("model", "time-out"):
        return UnavailableError(f"{name} {error}", hint)
    return BadRecordError(f"{name} {error}", hint)


def _result(state: State) -> dict[str, Any]:
    found = {"stack": state.stack, "memory": state.memory, "output": state.output, "steps": state.steps}
    return {**found, "model_calls": state.model_calls} if state.model_calls else found


class _Tracer:
    """Makes a line of every step."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._memory: dict[str, Value] = {}
        self._steps = self._printed = 0

    def __call__(self, at: Instruction, running: Machine) -> None:
        self._steps += 1
        if self._steps > SHOWN_STEPS:
            return
        state = running.state
        changed = {name: value for name, value in state.memory.items() if self._memory.get(name) is not value}
        step = {
            "step": state.steps,
            "line": at.line,
            "instruction": _cut(written(at)),
            "inside": running.inside,
            "stack": [_cut(value) for value in state.stack[-SHOWN_VALUES:]],
            "stack_size": len(state.stack),
            "memory": {str(_cut(name)): _cut(value) for name, value in changed.items()},
            "output": [_cut(line) for line in state.output[self._printed :]],
        }
        self._memory, self._printed = dict(state.memory), len(state.output)
        self._show(step)


def _cut(value: Value) -> Value:
    if isinstance(value, int) or len(value) <= SHOWN_CHARACTERS:
        return value
    return f"{value[: SHOWN_CHARACTERS - 1]}…"
