"""The Sovereign VM: a small stack machine that decides, by executing, whether an answer is right.

It runs whatever a language model writes, so every resource has a limit and every failure is a `VmError`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from pipeline.evolution.assembler import Instruction, Program, assemble, lines_of
from pipeline.evolution.faults import FaultError, Value, VmError, wrong_kind
from pipeline.evolution.operations import OPERATIONS
from pipeline.evolution.values import MOST_DIGITS
from pipeline.evolution.writing import Writer, written

_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Limits:
    """Stack in values, memory in names, steps in instructions, call depth in frames, text and source in characters.

    Raises:
        ValueError: one is negative or beyond any sense, or integers would be too long to be written in digits.
    """

    stack: int = 100
    memory: int = 1000
    steps: int = 1000
    call_depth: int = 20
    text: int = 10_000
    integer: int = 2**63
    source: int = 1_000_000
    model_calls: int = 3

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0 or (value > _MOST and name != "integer"):
                raise ValueError(f"the limit {name} must be between 0 and {_MOST}")
        if self.integer >= 10**MOST_DIGITS:
            raise ValueError(f"the limit integer cannot have more than {MOST_DIGITS} digits")


_LIMITS = Limits()


@dataclass(slots=True)
class State:
    """What a program leaves behind: `halted` is true when it reached HALT (or its end)."""

    stack: list[Value] = field(default_factory=list)
    memory: dict[str, Value] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    steps: int = 0
    model_calls: int = 0
    halted: bool = False


Watch = Callable[[Instruction, "Machine"], None]


def run(
    program: Program | str, limits: Limits | None = None, writer: Writer | None = None, watch: Watch | None = None
) -> State:
    """Assemble (if needed) and execute a program.

    Args:
        program: what to execute.
        limits: none: the usual ones.
        writer: whom LLMGEN and EVOLVE ask; without one they fail.
        watch: is shown every instruction right after it.

    Raises:
        VmError: with the category and the line of what went wrong.
    """
    limits = limits or _LIMITS
    if isinstance(program, str):
        if len(program) > limits.source:
            raise VmError("limit", f"a program longer than {limits.source} characters", 1)
        program = assemble(program)
    return Machine(program, limits, writer).run(watch)


class _Caller(NamedTuple):
    """Code that waits at an EXEC for other code to end."""

    program: Program
    position: int
    stack: list[Value]


class Machine:
    """A program on its way. The operations work through it.

    `frames` holds where to go on: a position for each CALL, a `_Caller` for each EXEC.
    """

    def __init__(self, program: Program, limits: Limits, writer: Writer | None = None) -> None:
        self.limits = limits
        self.writer = writer
        self.state = State()
        self.frames: list[int | _Caller] = []
        self._go_on_with(_Caller(program, 0, self.state.stack))

    def _go_on_with(self, code: _Caller) -> None:
        self.program, self.position, self.stack = code
        self.code = self.program.instructions
        self.state.stack = self.stack

    def run(self, watch: Watch | None = None) -> State:
        """Execute to the end.

        Raises:
            VmError: see `run`.
        """
        while not self.state.halted:
            self._leave(self._execute(watch))
        return self.state

    def _execute(self, watch: Watch | None) -> VmError | None:
        """Execute until the code in hand ends or fails."""
        state, most, at = self.state, self.limits.steps, _NOTHING
        try:
            while self.position < len(self.code):
                at = self.code[self.position]
                if state.steps >= most:
                    raise _too_many(most)
                state.steps += 1
                self.position += 1
                OPERATIONS[at.operation].execute(self, at.operand)
                if watch:
                    watch(at, self)
        except FaultError as fault:
            return fault.at(at.operation, at.line)
        return None

    def begin(self, source: str) -> None:
        """Go on with other code, which has a stack of its own; `_leave` comes back. Assembling costs a step a line."""
        self.require_depth()
        self.state.steps += len(lines_of(source))
        if self.state.steps > self.limits.steps:
            self.state.steps = self.limits.steps
            raise _too_many(self.limits.steps)
        try:
            program = assemble(source)
        except VmError as error:
            self._report(error)
            return
        self.frames.append(_Caller(self.program, self.position, self.stack))
        self._go_on_with(_Caller(program, 0, []))

    def _leave(self, failure: VmError | None) -> None:
        """End the code in hand: back to the EXEC that began it, if one did."""
        while self.frames:
            frame = self.frames.pop()
            if isinstance(frame, _Caller):
                self._go_on_with(frame)
                self._report(failure)
                return
        if failure:
            raise failure
        self.state.halted = True

    def _report(self, failure: VmError | None) -> None:
        """Leave what EXEC leaves; there is place for it where the code was."""
        self.stack.append(str(failure)[: self.limits.text] if failure else "")

    def ask(self, prompt: str) -> str:
        """Code that the writer writes."""
        if self.writer is None:
            raise FaultError("model", "there is no model to ask here")
        if self.state.model_calls >= self.limits.model_calls:
            raise FaultError("limit", f"more than {self.limits.model_calls} calls of a model")
        self.state.model_calls += 1
        return written(self.writer, prompt, self.limits.text)

    @property
    def inside(self) -> int:
        """How many EXECs the code in hand runs inside of."""
        return sum(isinstance(frame, _Caller) for frame in self.frames)

    def need(self, count: int) -> None:
        """Refuse to take what is not there."""
        there = len(self.stack)
        if there < count:
            raise FaultError("stack", f"needs {count} values, got {there}" if there else "on an empty stack")

    def take(self) -> Value:
        """The top of the stack."""
        if not self.stack:
            raise FaultError("stack", "on an empty stack")
        return self.stack.pop()

    def take_integer(self) -> int:
        """The top of the stack, which must be an integer."""
        value = self.take()
        if not isinstance(value, int):
            raise wrong_kind(int)
        return value

    def take_text(self) -> str:
        """The top of the stack, which must be text."""
        value = self.take()
        if not isinstance(value, str):
            raise wrong_kind(str)
        return value

    def push(self, value: Value) -> None:
        """Put it on the stack, if there is place for it."""
        if len(self.stack) >= self.limits.stack:
            raise FaultError("limit", f"more than {self.limits.stack} values on the stack")
        if isinstance(value, int):
            if not -self.limits.integer <= value <= self.limits.integer:
                raise FaultError("arithmetic", "integer too large")
        else:
            self.require_text(len(value))
        self.stack.append(value)

    def require_text(self, length: int) -> None:
        """Refuse a text before it is made."""
        if length > self.limits.text:
            raise FaultError("limit", f"text longer than {self.limits.text} characters")

    def require_depth(self) -> None:
        """Refuse one call more than is allowed."""
        if len(self.frames) >= self.limits.call_depth:
            raise FaultError("limit", f"more than {self.limits.call_depth} nested calls")


_NOTHING = Instruction("HALT", None, 1)


def _too_many(steps: int) -> FaultError:
    return FaultError("limit", f"more than {steps} steps")
