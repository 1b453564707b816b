"""The operations of the Sovereign VM: one table, read by the assembler, the machine and `docs/vm.md`.

A new operation is one more line here. What it takes from the stack and leaves there is written as `before → after`,
the top at the right. The words `integer` and `text` are checked before the operation runs, any other word stands for a
value of either kind; `start:integer` is an integer with a name.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.evolution import control, values
from pipeline.evolution.control import Execute
from pipeline.evolution.faults import CATEGORIES, Value, wrong_kind

if TYPE_CHECKING:
    from pipeline.evolution.machine import Machine

_KINDS: dict[str, type] = {"integer": int, "text": str}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    `operand` is what stands behind it in the source: none, a value (#7 or "text"), a quoted name or text, or a label.
    `fails` are the categories of its errors that do not follow from what it takes.
    """

    name: str
    effect: str
    meaning: str
    execute: Execute
    operand: str = "none"
    fails: str = ""

    @property
    def takes(self) -> tuple[type | None, ...]:
        """The kinds of what it takes, the top last; none: either."""
        return _kinds(self.effect.partition("→")[0])

    @property
    def leaves(self) -> tuple[type | None, ...]:
        """The kinds of what it leaves, the top last; none: either."""
        return _kinds(self.effect.partition("→")[2])

    @property
    def errors(self) -> tuple[str, ...]:
        """The categories of its errors, besides the limit of steps that every instruction may meet."""
        implied = {"stack": bool(self.takes), "type": any(self.takes)}
        return tuple(each for each in CATEGORIES if implied.get(each) or each in self.fails.split())


def _kinds(side: str) -> tuple[type | None, ...]:
    return tuple(_KINDS.get(word.rpartition(":")[2]) for word in side.split())


def _computes(name: str, effect: str, function: Callable[..., Value], meaning: str, fails: str = "") -> Operation:
    """An operation that leaves what `function` makes of the values it takes."""
    takes = _kinds(effect.partition("→")[0])
    execute = _integers(function) if takes == (int, int) else _values(takes, function)
    return Operation(name, effect, meaning, execute, fails=fails)


def _values(takes: tuple[type | None, ...], function: Callable[..., Value]) -> Execute:
    count = len(takes)

    def execute(machine: "Machine", _: Value | None) -> None:
        machine.need(count)
        taken = machine.stack[-count:]
        for value, kind in zip(taken, takes, strict=True):
            if kind is not None and type(value) is not kind:
                raise wrong_kind(kind)
        del machine.stack[-count:]
        machine.push(function(*taken))

    return execute


def _integers(function: Callable[[int, int], Any]) -> Execute:
    """As `_values` for two integers; written out, because programs do little else."""

    def execute(machine: "Machine", _: Value | None) -> None:
        stack = machine.stack
        machine.need(2)
        right = stack.pop()
        left = stack.pop()
        if type(left) is not int or type(right) is not int:
            raise wrong_kind(int)
        machine.push(function(left, right))

    return execute


_TABLE = [
    Operation("PUSH", "→ value", "Puts an integer or a text on the stack.", control.push, "value", "arithmetic limit"),
    Operation("POP", "a →", "Drops the top.", control.pop),
    Operation("DUP", "a → a a", "The top once more.", control.duplicate, fails="limit"),
    Operation("SWAP", "a b → b a", "The two topmost change places.", control.swap),
    Operation("OVER", "a b → a b a", "The second once more.", control.over, fails="limit"),
    Operation("ROT", "a b c → b c a", "The third comes to the top.", control.rotate),
    Operation("DEPTH", "→ integer", "How many values are on the stack.", control.depth, fails="limit"),
    _computes("ADD", "integer integer → integer", operator.add, "The sum.", "arithmetic"),
    _computes("SUB", "integer integer → integer", operator.sub, "The first less the second.", "arithmetic"),
    _computes("MUL", "integer integer → integer", operator.mul, "The product.", "arithmetic"),
    _computes(
        "DIV", "integer integer → integer", values.divide, "The quotient, rounded down: -7 / 2 is -4.", "arithmetic"
    ),
    _computes(
        "MOD",
        "integer integer → integer",
        values.remainder,
        "What DIV leaves; it has the sign of the second: -7 mod 2 is 1.",
        "arithmetic",
    ),
    _computes("NEG", "integer → integer", operator.neg, "The same with the other sign."),
    _computes("ABS", "integer → integer", abs, "The same without its sign."),
    _computes("MIN", "integer integer → integer", min, "The smaller one."),
    _computes("MAX", "integer integer → integer", max, "The larger one."),
    _computes("EQ", "a b → integer", values.equal, "1 if both are the same, else 0; a text is never an integer."),
    _computes("NE", "a b → integer", values.unequal, "0 if both are the same, else 1."),
    _computes("LT", "integer integer → integer", values.less, "1 if the first is less than the second, else 0."),
    _computes("LE", "integer integer → integer", values.at_most, "1 if the first is at most the second, else 0."),
    _computes("GT", "integer integer → integer", values.greater, "1 if the first is greater than the second, else 0."),
    _computes("GE", "integer integer → integer", values.at_least, "1 if the first is at least the second, else 0."),
    _computes("AND", "integer integer → integer", values.both, "1 if neither is 0, else 0."),
    _computes("OR", "integer integer → integer", values.either, "0 if both are 0, else 1."),
    _computes("NOT", "integer → integer", values.negated, "1 if it is 0, else 0."),
    Operation("JMP", "→", "Goes on at the label.", control.jump, "label"),
    Operation("JZ", "integer →", "Goes on at the label if it is 0.", control.jump_if_zero, "label"),
    Operation("JNZ", "integer →", "Goes on at the label if it is not 0.", control.jump_if_not_zero, "label"),
    Operation("CALL", "→", "Goes on at the label until RET.", control.call, "label", "limit"),
    Operation("RET", "→", "Goes on behind the latest CALL.", control.give_back, fails="stack"),
    Operation("HALT", "→", "Ends the program, as its last line does.", control.halt),
    Operation("STORE", "a →", "Remembers it under the name.", control.store, "name", "limit"),
    Operation("LOAD", "→ a", "What is remembered under the name.", control.load, "name", "limit memory"),
    Operation(
        "STOREI", "a name:text →", "STORE under a computed name.", control.indirect(control.store), fails="limit"
    ),
    Operation("LOADI", "name:text → a", "LOAD by a computed name.", control.indirect(control.load), fails="memory"),
    Operation("PRINT", "a →", "Adds it to the output, as a line.", control.print_top),
    Operation("CONCAT", "a b → text", "Both as one text; integers as digits.", control.join, fails="limit"),
    _computes("LENGTH", "a → integer", values.length, "How many characters it has; an integer: as digits."),
    _computes("UPPER", "text → text", str.upper, "In capitals.", "limit"),
    _computes("LOWER", "text → text", str.lower, "In small letters.", "limit"),
    _computes("REVERSE", "text → text", values.reverse, "Backwards."),
    Operation(
        "REPEAT", "text count:integer → text", "So many times in a row.", control.repeat, fails="arithmetic limit"
    ),
    _computes(
        "SLICE",
        "text start:integer length:integer → text",
        values.part,
        "The part from `start`, counted from 0; shorter where the text ends.",
        "arithmetic",
    ),
    _computes(
        "FIND", "text part:text → integer", str.find, "Where the part begins first, counted from 0; -1 if nowhere."
    ),
    _computes("CHAR", "integer → text", values.character, "The character of that number in Unicode.", "arithmetic"),
    _computes("ORD", "text → integer", values.number_of, "The number in Unicode of a single character."),
    _computes("TEXT", "integer → text", str, "Its digits."),
    _computes(
        "NUMBER",
        "text → integer",
        values.integer,
        "What its digits are worth; spaces around them do not count.",
        "arithmetic",
    ),
    Operation(
        "EXEC",
        "code:text → error:text",
        "Runs the code; leaves the error that ended it, else an empty text.",
        control.execute_code,
        fails="limit",
    ),
    Operation(
        "LLMGEN",
        "→ code:text",
        "The code that a model writes for this prompt.",
        control.generate,
        "text",
        "limit model time-out",
    ),
    Operation(
        "LLMGENI",
        "prompt:text → code:text",
        "LLMGEN with a computed prompt.",
        control.indirect(control.generate),
        fails="limit model time-out",
    ),
    Operation(
        "EVOLVE",
        "code:text → code:text",
        "The code, repaired by a model that is told this error.",
        control.evolve,
        "text",
        "limit model time-out",
    ),
    Operation(
        "EVOLVEI",
        "code:text error:text → code:text",
        "EVOLVE with a computed error.",
        control.indirect(control.evolve),
        fails="limit model time-out",
    ),
]
OPERATIONS = {each.name: each for each in _TABLE}
