"""The starter's job: plain sentences about arithmetic → programs for the Sovereign VM.

A task knows its question and the value that the program must leave in memory. How a right program looks is known
only to `program()`, which the *pre-training* of the base model uses; the nightly loop never sees it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.lib.text import normalize

VARIABLES = ["total", "price", "sum", "score", "area", "x", "y", "result", "count", "speed"]
PHRASINGS = (
    "set {name} to {expression}",
    "let {name} be {expression}",
    "compute {expression} and store it in {name}",
    "work out {expression}, then save it as {name}",
    "{name} = {expression}",
    "what is {expression}? put it in {name}",
)
MOST_OPERATIONS = 5
HOLDOUT_SIZE = 400

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


@dataclass(frozen=True, slots=True)
class Task:
    """One question and what decides whether an answer to it is right."""

    question: str
    name: str
    expression: Expression
    operations: int

    @property
    def check(self) -> dict[str, Any]:
        """The check that travels with the interaction: it accepts or refuses, it shows no program."""
        return {"type": "vm", "memory": {self.name: value(self.expression)}}

    @property
    def messages(self) -> list[dict[str, str]]:
        """The question as a chat."""
        return [{"role": "user", "content": self.question}]

    def record(self) -> dict[str, Any]:
        """The line that stands in a hold-out or canary file."""
        return {"messages": self.messages, "check": self.check, "group": f"{self.operations} operations"}


def draw(source: random.Random, operations: int) -> Task:
    """A random task with exactly so many operations."""
    expression = _grow(source, operations)
    name = source.choice(VARIABLES)
    question = source.choice(PHRASINGS).format(name=name, expression=written(expression))
    return Task(question, name, expression, operations)


def holdout() -> list[Task]:
    """The fixed hold-out: 400 tasks, equally many for each number of operations, no two alike."""
    source = random.Random("hold-out")
    seen: set[str] = set()
    tasks: list[Task] = []
    while len(tasks) < HOLDOUT_SIZE:
        task = draw(source, 1 + len(tasks) % MOST_OPERATIONS)
        if (key := normalize(task.question)) not in seen:
            seen.add(key)
            tasks.append(task)
    return tasks


def traffic(seed: int, forbidden: set[str]) -> Iterator[Task]:
    """An endless day of questions; none of the normalised texts in `forbidden` is among them."""
    source = random.Random(f"day {seed}")
    while True:
        task = draw(source, source.randint(1, MOST_OPERATIONS))
        if normalize(task.question) not in forbidden:
            yield task


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


def program(task: Task) -> str:
    """The program that a base model is pre-trained to write for this task."""
    return "\n".join([*_postfix(task.expression), f'STORE "{task.name}"', "HALT"])


def _postfix(expression: Expression) -> list[str]:
    if isinstance(expression, Number):
        return [f"PUSH #{expression.value}"]
    return [*_postfix(expression.left), *_postfix(expression.right), _OPERATIONS[expression.sign]]


def _grow(source: random.Random, operations: int) -> Expression:
    if operations == 0:
        return Number(source.randint(1, 9))
    left = source.randint(0, operations - 1)
    return Operation(source.choice("+-*"), _grow(source, left), _grow(source, operations - 1 - left))
