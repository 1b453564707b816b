"""The Sovereign VM: a small stack machine that decides, by executing, whether an answer is right.

It runs whatever a language model writes, so every resource has a limit and every failure is a `VmError`.
"""

from dataclasses import dataclass, field

from pipeline.evolution.assembler import Program, assemble
from pipeline.evolution.faults import Fault, Value, wrong_kind
from pipeline.evolution.operations import OPERATIONS


@dataclass(frozen=True, slots=True)
class Limits:
    """Stack in values, memory in names, steps in instructions, call depth in frames, text in characters."""

    stack: int = 100
    memory: int = 1000
    steps: int = 1000
    call_depth: int = 20
    text: int = 10_000
    integer: int = 2**63


_LIMITS = Limits()


@dataclass(slots=True)
class State:
    """What a program leaves behind: `halted` is true when it reached HALT (or its end)."""

    stack: list[Value] = field(default_factory=list)
    memory: dict[str, Value] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    steps: int = 0
    halted: bool = False


def run(program: Program | str, limits: Limits | None = None) -> State:
    """Assemble (if needed) and execute a program.

    Raises:
        VmError: with the category and the line of what went wrong.
    """
    if isinstance(program, str):
        program = assemble(program)
    return Machine(program, limits or _LIMITS).run()


class Machine:
    """A program on its way. The operations take and push through it."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self.program = program
        self.limits = limits
        self.state = State()
        self.stack = self.state.stack
        self.position = 0
        self.frames: list[int] = []

    def run(self) -> State:
        """Execute to the end."""
        state, instructions, most = self.state, self.program.instructions, self.limits.steps
        at = None
        try:
            while not state.halted and self.position < len(instructions):
                at = instructions[self.position]
                if state.steps >= most:
                    raise Fault("limit", f"more than {most} steps")
                state.steps += 1
                self.position += 1
                OPERATIONS[at.operation].execute(self, at.operand)
        except Fault as fault:
            assert at is not None
            raise fault.at(at.operation, at.line) from None
        state.halted = True
        return state

    def need(self, count: int) -> None:
        """Refuse to take what is not there."""
        if len(self.stack) < count:
            raise Fault(
                "stack", f"needs {count} values, there are {len(self.stack)}" if self.stack else "on an empty stack"
            )

    def take(self) -> Value:
        """The top of the stack."""
        if not self.stack:
            raise Fault("stack", "on an empty stack")
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
            raise Fault("limit", f"more than {self.limits.stack} values on the stack")
        if isinstance(value, int):
            if not -self.limits.integer <= value <= self.limits.integer:
                raise Fault("arithmetic", "integer too large")
        else:
            self.require_text(len(value))
        self.stack.append(value)

    def require_text(self, length: int) -> None:
        """Refuse a text before it is made."""
        if length > self.limits.text:
            raise Fault("limit", f"text longer than {self.limits.text} characters")

    def enter(self, position: int) -> None:
        """Begin something that comes back to `position`."""
        if len(self.frames) >= self.limits.call_depth:
            raise Fault("limit", f"more than {self.limits.call_depth} nested calls")
        self.frames.append(position)

    def leave(self) -> None:
        """End the program."""
        self.state.halted = True
