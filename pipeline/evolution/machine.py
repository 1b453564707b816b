"""The Sovereign VM: a small stack machine that decides, by executing, whether an answer is right.

It runs whatever a language model writes, so every resource has a limit and every failure is a `VmError`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.evolution.assembler import Instruction, Program, Value, VmError, assemble

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "ADD": lambda a, b: a + b,
    "SUB": lambda a, b: a - b,
    "MUL": lambda a, b: a * b,
    "DIV": lambda a, b: a // b,
    "MOD": lambda a, b: a % b,
    "LT": lambda a, b: int(a < b),
    "LE": lambda a, b: int(a <= b),
    "GT": lambda a, b: int(a > b),
    "GE": lambda a, b: int(a >= b),
    "AND": lambda a, b: int(bool(a) and bool(b)),
    "OR": lambda a, b: int(bool(a) or bool(b)),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Stack in values, memory in names, steps in instructions, call depth in frames, text in characters."""

    stack: int = 100
    memory: int = 1000
    steps: int = 1000
    call_depth: int = 20
    text: int = 10_000
    integer: int = 2**63


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
    machine = _Machine(program, limits or Limits())
    while machine.step():
        pass
    return machine.state


class _Machine:
    def __init__(self, program: Program, limits: Limits) -> None:
        self.program = program
        self.limits = limits
        self.state = State()
        self.position = 0
        self.returns: list[int] = []

    def step(self) -> bool:
        """Execute one instruction; false once the program has ended."""
        if self.position >= len(self.program.instructions):
            self.state.halted = True
            return False
        instruction = self.program.instructions[self.position]
        self.state.steps += 1
        if self.state.steps > self.limits.steps:
            raise VmError("limit", f"more than {self.limits.steps} steps", instruction.line)
        self.position += 1
        self._execute(instruction)
        return not self.state.halted

    def _execute(self, at: Instruction) -> None:
        if at.operation in _ARITHMETIC:
            self._arithmetic(at)
        elif at.operation in ("JMP", "JZ", "JNZ", "CALL", "RET", "HALT"):
            self._jump(at)
        elif at.operation in ("PUSH", "POP", "DUP", "SWAP", "OVER"):
            self._shuffle(at)
        elif at.operation in ("STORE", "LOAD"):
            self._memory(at)
        else:
            self._other(at)

    def _push(self, value: Value, at: Instruction) -> None:
        if len(self.state.stack) >= self.limits.stack:
            raise VmError("limit", f"more than {self.limits.stack} values on the stack", at.line)
        if isinstance(value, int) and abs(value) > self.limits.integer:
            raise VmError("arithmetic", "integer too large", at.line)
        if isinstance(value, str) and len(value) > self.limits.text:
            raise VmError("limit", f"text longer than {self.limits.text} characters", at.line)
        self.state.stack.append(value)

    def _pop(self, at: Instruction) -> Value:
        if not self.state.stack:
            raise VmError("stack", f"{at.operation} on an empty stack", at.line)
        return self.state.stack.pop()

    def _pop_integer(self, at: Instruction) -> int:
        value = self._pop(at)
        if not isinstance(value, int):
            raise VmError("type", f"{at.operation} needs an integer, got text", at.line)
        return value

    def _arithmetic(self, at: Instruction) -> None:
        right, left = self._pop_integer(at), self._pop_integer(at)
        if at.operation in ("DIV", "MOD") and right == 0:
            raise VmError("arithmetic", "division by zero", at.line)
        self._push(_ARITHMETIC[at.operation](left, right), at)

    def _jump(self, at: Instruction) -> None:
        if at.operation == "HALT":
            self.state.halted = True
        elif at.operation == "RET":
            if not self.returns:
                raise VmError("stack", "RET without CALL", at.line)
            self.position = self.returns.pop()
        elif at.operation == "CALL":
            if len(self.returns) >= self.limits.call_depth:
                raise VmError("limit", f"more than {self.limits.call_depth} nested calls", at.line)
            self.returns.append(self.position)
            self.position = self.program.labels[str(at.operand)]
        elif at.operation == "JMP" or (self._pop_integer(at) == 0) == (at.operation == "JZ"):
            self.position = self.program.labels[str(at.operand)]

    def _shuffle(self, at: Instruction) -> None:
        if at.operation == "PUSH":
            assert at.operand is not None
            self._push(at.operand, at)
            return
        top = self._pop(at)
        if at.operation == "DUP":
            self._push(top, at)
            self._push(top, at)
        elif at.operation in ("SWAP", "OVER"):
            below = self._pop(at)
            for value in (top, below) if at.operation == "SWAP" else (below, top, below):
                self._push(value, at)

    def _memory(self, at: Instruction) -> None:
        name = str(at.operand)
        if at.operation == "STORE":
            self.state.memory[name] = self._pop(at)
            if len(self.state.memory) > self.limits.memory:
                raise VmError("limit", f"more than {self.limits.memory} names in memory", at.line)
        elif name in self.state.memory:
            self._push(self.state.memory[name], at)
        else:
            raise VmError("memory", f"nothing is stored under {name!r}", at.line)

    def _other(self, at: Instruction) -> None:
        top = self._pop(at) if at.operation in ("EQ", "NE", "CONCAT", "LENGTH", "PRINT") else self._pop_integer(at)
        if at.operation in ("EQ", "NE"):
            self._push(int((self._pop(at) == top) == (at.operation == "EQ")), at)
        elif at.operation == "CONCAT":
            self._push(f"{self._pop(at)}{top}", at)
        elif at.operation == "LENGTH":
            self._push(len(str(top)), at)
        elif at.operation == "PRINT":
            self.state.output.append(str(top))
        elif at.operation == "NOT":
            assert isinstance(top, int)
            self._push(int(not top), at)
        elif at.operation == "NEG":
            assert isinstance(top, int)
            self._push(-top, at)
