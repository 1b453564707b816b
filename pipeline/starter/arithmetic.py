"""The starter's first job: sums in plain sentences → programs that leave their value in memory."""

import random
from dataclasses import dataclass

from pipeline.starter.task import Task

FAMILY = "arithmetic"
VARIABLES = ["total", "price", "sum", "score", "area", "x", "y", "result", "count", "speed"]
PHRASINGS = (
    "set {name} to {expression}",
    "let {name} be {expression}",
    "compute {expression} and store it in {name}",
    "work out {expression}, then save it as {name}",
    "{name} = {expression}",
    "what is {expression}? put it in {name}",
)

_OPERATIONS = {"+": "ADD", "-": "SUB", "*": "MUL"}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2}


@dataclass(frozen=True, slots=True)
class Number:
    """A leaf of an expression."""

    value: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An inner node of an expression: `left sign right`."""

    sign: str
    left: "Expression"
    right: "Expression"


Expression = Number | Operation


def draw(source: random.Random, operations: int) -> Task:
    """A random task with exactly so many operations."""
    expression = _grow(source, operations)
    name = source.choice(VARIABLES)
    question = source.choice(PHRASINGS).format(name=name, expression=written(expression))
    program = "\n".join([*_postfix(expression), f'STORE "{name}"', "HALT"])
    return Task(question, name, value(expression), FAMILY, operations, program)


def value(expression: Expression) -> int:
    """What the expression is worth."""
    if isinstance(expression, Number):
        return expression.value
    left, right = value(expression.left), value(expression.right)
    return {"+": left + right, "-": left - right, "*": left * right}[expression.sign]


def written(expression: Expression, binding: int = 0, right_side: bool = False) -> str:
    """The expression as people write it, with the parentheses that it needs and no more."""
    if isinstance(expression, Number):
        return str(expression.value)
    own = _PRECEDENCE[expression.sign]
    left, right = written(expression.left, own), written(expression.right, own, right_side=True)
    text = f"{left} {expression.sign} {right}"
    return f"({text})" if own < binding or (own == binding and right_side) else text


def _postfix(expression: Expression) -> list[str]:
    if isinstance(expression, Number):
        return [f"PUSH #{expression.value}"]
    return [*_postfix(expression.left), *_postfix(expression.right), _OPERATIONS[expression.sign]]


def _grow(source: random.Random, operations: int) -> Expression:
    if operations == 0:
        return Number(source.randint(1, 9))
    left = source.randint(0, operations - 1)
    return Operation(source.choice("+-*"), _grow(source, left), _grow(source, operations - 1 - left))
