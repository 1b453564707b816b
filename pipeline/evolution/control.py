"""The operations that do more than compute: those that move values, jump, remember, print, or ask a model.

Each has the shape `(machine, operand) → None`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.evolution.faults import FaultError, Value

if TYPE_CHECKING:
    from pipeline.evolution.machine import Machine

# The operand is what the assembler read for the operation: an integer or a text, or nothing.
Execute = Callable[["Machine", "Value | None"], None]


def push(machine: "Machine", value: Value | None) -> None:
    """PUSH."""
    assert value is not None
    machine.push(value)


def pop(machine: "Machine", _: Value | None) -> None:
    """POP."""
    machine.take()


def duplicate(machine: "Machine", _: Value | None) -> None:
    """DUP."""
    machine.need(1)
    machine.push(machine.stack[-1])


def swap(machine: "Machine", _: Value | None) -> None:
    """SWAP."""
    machine.need(2)
    stack = machine.stack
    stack[-1], stack[-2] = stack[-2], stack[-1]


def over(machine: "Machine", _: Value | None) -> None:
    """OVER."""
    machine.need(2)
    machine.push(machine.stack[-2])


def rotate(machine: "Machine", _: Value | None) -> None:
    """ROT."""
    machine.need(3)
    machine.stack.append(machine.stack.pop(-3))


def depth(machine: "Machine", _: Value | None) -> None:
    """DEPTH."""
    machine.push(len(machine.stack))


def jump(machine: "Machine", label: Value | None) -> None:
    """JMP."""
    machine.position = machine.program.labels[str(label)]


def jump_if_zero(machine: "Machine", label: Value | None) -> None:
    """JZ."""
    if machine.take_integer() == 0:
        machine.position = machine.program.labels[str(label)]


def jump_if_not_zero(machine: "Machine", label: Value | None) -> None:
    """JNZ."""
    if machine.take_integer() != 0:
        machine.position = machine.program.labels[str(label)]


def call(machine: "Machine", label: Value | None) -> None:
    """CALL."""
    machine.require_depth()
    machine.frames.append(machine.position)
    machine.position = machine.program.labels[str(label)]


def give_back(machine: "Machine", _: Value | None) -> None:
    """RET."""
    position = machine.frames[-1] if machine.frames else None
    if not isinstance(position, int):
        raise FaultError("stack", "without CALL")
    machine.frames.pop()
    machine.position = position


def halt(machine: "Machine", _: Value | None) -> None:
    """HALT."""
    machine.position = len(machine.code)


def store(machine: "Machine", name: Value | None) -> None:
    """STORE."""
    value, memory = machine.take(), machine.state.memory
    if name not in memory and len(memory) >= machine.limits.memory:
        raise FaultError("limit", f"more than {machine.limits.memory} names in memory")
    memory[str(name)] = value


def load(machine: "Machine", name: Value | None) -> None:
    """LOAD."""
    memory = machine.state.memory
    if name not in memory:
        raise FaultError("memory", f"nothing is stored under {str(name)[:40]!r}")
    machine.push(memory[str(name)])


def print_top(machine: "Machine", _: Value | None) -> None:
    """PRINT."""
    machine.state.output.append(str(machine.take()))


def join(machine: "Machine", _: Value | None) -> None:
    """CONCAT."""
    right, left = str(machine.take()), str(machine.take())
    machine.require_text(len(left) + len(right))
    machine.push(left + right)


def repeat(machine: "Machine", _: Value | None) -> None:
    """REPEAT."""
    count, text = machine.take_integer(), machine.take_text()
    if count < 0:
        raise FaultError("arithmetic", f"a text cannot be repeated {count} times")
    machine.require_text(len(text) * count)
    # Python's own strings cannot be repeated more often than 2⁶³ times, not even empty ones.
    machine.push(text * count if text else "")


def execute_code(machine: "Machine", _: Value | None) -> None:
    """EXEC."""
    machine.begin(machine.take_text())


def generate(machine: "Machine", prompt: Value | None) -> None:
    """LLMGEN."""
    machine.push(machine.ask(str(prompt)))


def evolve(machine: "Machine", error: Value | None) -> None:
    """EVOLVE."""
    machine.push(machine.ask(repair_prompt(machine.take_text(), str(error))))


def repair_prompt(code: str, error: str) -> str:
    """What EVOLVE asks."""
    return (
        f"This program is wrong:\n\n```\n{code}\n```\n\nWhat is wrong with it: {error}\n\n"
        "Write the whole program, repaired."
    )


def indirect(direct: Execute) -> Execute:
    """The same operation with its operand taken from the stack."""

    def execute(machine: "Machine", _: Value | None) -> None:
        direct(machine, machine.take_text())

    return execute
