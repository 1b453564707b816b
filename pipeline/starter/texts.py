"""The starter's second job: words that are turned, doubled and joined → programs that leave the text in memory.

Nothing that learns at night knows of it: it is there so that no recipe is made for sums alone.
"""

import random
from dataclasses import dataclass

from pipeline.starter.task import Task

FAMILY = "text"
VARIABLES = ["label", "title", "word", "note", "code", "tag"]
WORDS = ("cat", "dog", "sun", "red", "map", "key", "tea", "box", "hat", "owl", "pen", "ink", "sea", "log", "bus", "jam")
PHRASINGS = (
    "put {expression} into {name}",
    "make {expression} the {name}",
    "write {expression} and call it {name}",
)

_TURNS = {"upper": ("UPPER",), "reverse": ("REVERSE",), "twice": ("PUSH #2", "REPEAT")}


@dataclass(frozen=True, slots=True)
class Word:
    """A leaf of an expression."""

    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A word or more, changed: `upper(…)`, `reverse(…)`, `twice(…)`."""

    how: str
    of: "Expression"


@dataclass(frozen=True, slots=True)
class Joined:
    """One behind the other: `… & …`."""

    left: "Expression"
    right: "Expression"


Expression = Word | Turn | Joined


def draw(source: random.Random, operations: int) -> Task:
    """A random task with exactly so many operations."""
    expression = _grow(source, operations)
    name = source.choice(VARIABLES)
    question = source.choice(PHRASINGS).format(name=name, expression=written(expression))
    program = "\n".join([*_postfix(expression), f'STORE "{name}"', "HALT"])
    return Task(question, name, value(expression), FAMILY, operations, program)


def value(expression: Expression) -> str:
    """The text that comes of it."""
    match expression:
        case Word(text):
            return text
        case Joined(left, right):
            return value(left) + value(right)
        case Turn("upper", of):
            return value(of).upper()
        case Turn("reverse", of):
            return value(of)[::-1]
        case Turn(_, of):
            return value(of) * 2


def written(expression: Expression, right_side: bool = False) -> str:
    """The expression as it stands in a question; what is joined on the right side has parentheses."""
    match expression:
        case Word(text):
            return f'"{text}"'
        case Turn(how, of):
            return f"{how}({written(of)})"
        case Joined(left, right):
            text = f"{written(left)} & {written(right, right_side=True)}"
            return f"({text})" if right_side else text


def _postfix(expression: Expression) -> list[str]:
    match expression:
        case Word(text):
            return [f'PUSH "{text}"']
        case Turn(how, of):
            return [*_postfix(of), *_TURNS[how]]
        case Joined(left, right):
            return [*_postfix(left), *_postfix(right), "CONCAT"]


def _grow(source: random.Random, operations: int) -> Expression:
    if operations == 0:
        return Word(source.choice(WORDS))
    if source.random() < 0.5:
        return Turn(source.choice(tuple(_TURNS)), _grow(source, operations - 1))
    left = source.randint(0, operations - 1)
    return Joined(_grow(source, left), _grow(source, operations - 1 - left))
