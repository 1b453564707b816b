"""The questions of `models test`. Whether an answer is right is decided by executing or comparing, never by a model."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jsonschema import Draft202012Validator

from pipeline.evolution.faults import Value, VmError
from pipeline.evolution.machine import run
from pipeline.lib.sections import Capability

LEAST_CONTEXT = 4096  # tokens; with fewer no prompt is long
_LONGEST_NEEDLE = 24_000  # tokens: minutes on a machine without an accelerator
_SHARE, _CHARACTERS = 0.6, 3  # of the context that is filled, and of a token at least, in plain English

_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_CONCLUSION = re.compile(r"answer\s*:\s*([^\n]+)", re.IGNORECASE)

_MACHINE = """\
A small stack machine runs one instruction a line; `;` starts a comment, `name:` alone on a line is a label.
PUSH #7 or PUSH "text": push it. POP, DUP, SWAP, OVER: as in Forth. STORE "x": pop into variable x. LOAD "x": push it.
ADD SUB MUL DIV MOD: pop b, pop a, push a op b. EQ NE LT LE GT GE: the same, pushing 1 or 0. NEG, NOT: of the top.
CONCAT: pop b, pop a, push the text a followed by b. LENGTH: of the text on top. PRINT: pop and print.
JMP label, JZ label (pop, jump if 0), JNZ label (pop, jump if not 0). HALT: the end.
An error has a category: syntax (unknown instruction or label), stack (too few values), type (text where a number is \
needed), arithmetic (division by zero), memory (variable without a value), limit (too many steps).
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, how long the answer may be (tokens), and whether an answer is right."""

    prompt: str
    right: Callable[[str], bool]
    max_tokens: int = 1024


def questions(capability: Capability, context: int | None) -> list[Question]:
    """Those of a capability. Empty: it cannot be asked for (no or too little context; speed is measured otherwise)."""
    if capability == "long_context":
        return [_needles(context)] if context and context >= LEAST_CONTEXT else []
    return _FIXED.get(capability, [])


def without_thoughts(answer: str) -> str:
    """What a reasoning model says in the end."""
    return _THOUGHTS.sub("", answer).strip()


def _program(task: str, *cases: tuple[dict[str, Value], str]) -> Question:
    prompt = f"{_MACHINE}\nWrite a program for it: {task} Answer with the program in one ``` block."
    return Question(prompt, partial(_prints, cases=cases))


def _prints(answer: str, cases: tuple[tuple[dict[str, Value], str], ...]) -> bool:
    """Whether the program prints what it should for values that the prompt does not tell."""
    fenced = _FENCED.search(answer)
    code = fenced[1] if fenced else answer
    for variables, expected in cases:
        given = "".join(f'PUSH {_written(value)}\nSTORE "{name}"\n' for name, value in variables.items())
        try:
            if run(given + code).output != [expected]:
                return False
        except VmError:
            return False
    return True


def _written(value: Value) -> str:
    return f"#{value}" if isinstance(value, int) else f'"{value}"'


def _fault(*lines: str) -> Question:
    program = "\n".join(lines)
    prompt = (
        f"{_MACHINE}\nThis program ends with an error:\n```\n{program}\n```\nOn which line (the first is 1), and of "
        'which category? Answer with only a JSON object such as {"line": 9, "category": "limit"}.'
    )
    return Question(prompt, partial(_finds, program=program))


def _finds(answer: str, program: str) -> bool:
    """Whether it says what the machine says."""
    try:
        run(program)
    except VmError as error:
        return bool(_object(answer) == {"line": error.line, "category": error.category})
    return False


def _object(answer: str) -> Any:
    found = _OBJECT.search(answer)
    try:
        return json.loads(found[0]) if found else None
    except ValueError:
        return None


def _exactly(prompt: str, expected: str) -> Question:
    return Question(prompt, lambda answer: answer == expected, 256)


def _of_schema(prompt: str, schema: dict[str, Any]) -> Question:
    def right(answer: str) -> bool:
        fenced = _FENCED.fullmatch(answer)
        try:
            return bool(Draft202012Validator(schema).is_valid(json.loads(fenced[1] if fenced else answer)))
        except ValueError:
            return False

    return Question(prompt, right, 256)


def _concludes(prompt: str, expected: str) -> Question:
    def right(answer: str) -> bool:
        said = _CONCLUSION.findall(answer)
        return bool(said) and said[-1].strip(" *.`").casefold() == expected.casefold()

    return Question(f"{prompt} Think, then end with a line `answer: …` that holds only the result.", right, 2048)


def _needles(context: int) -> Question:
    """Three codes in a text that fills most of the context."""
    codes = {"cellar": "7QX4", "attic": "M93K", "garden": "2VTL"}
    length = int(min(context, _LONGEST_NEEDLE) * _SHARE) * _CHARACTERS
    line = "The inventory of this room was taken again, and nothing in it had changed since the winter before.\n"
    lines = [line] * (length // len(line))
    for share, (place, code) in zip((0.1, 0.5, 0.9), codes.items(), strict=True):
        lines[int(len(lines) * share)] = f"The code of the {place} is {code}.\n"
    prompt = f"{''.join(lines)}\nWhat are the codes of {', '.join(codes)}? Answer with only the three codes."
    return Question(prompt, lambda answer: all(code in answer for code in codes.values()), 1024)


_FIXED: dict[str, list[Question]] = {
    "code_generation": [
        _program(
            'the variable "n" holds a number of at least 1; print the product of all numbers from 1 to n.',
            ({"n": 1}, "1"),
            ({"n": 6}, "720"),
        ),
        _program(
            'the variables "a" and "b" hold numbers; print the larger one, once.',
            ({"a": 3, "b": 8}, "8"),
            ({"a": 9, "b": -2}, "9"),
            ({"a": 5, "b": 5}, "5"),
        ),
        _program(
            'the variable "name" holds a text; print `Hello, ` followed by it and by `!`, as one text.',
            ({"name": "Ada"}, "Hello, Ada!"),
        ),
    ],
    "error_analysis": [
        _fault("PUSH #4", "PUSH #5", "ADD", "MUL", "PRINT"),
        _fault("PUSH #12", 'STORE "total"', 'LOAD "total"', "PUSH #3", "PUSH #3", "SUB", "DIV", "PRINT"),
        _fault("PUSH #2", 'PUSH "3"', "ADD", "PRINT"),
    ],
    "instruction_following": [
        _exactly(
            "Answer with the word maple three times in capital letters, joined by hyphens, and with nothing else.",
            "MAPLE-MAPLE-MAPLE",
        ),
        _exactly(
            "Write the numbers 4, 19, 7 and 12 from the largest to the smallest, one a line, and nothing else.",
            "19\n12\n7\n4",
        ),
        _of_schema(
            'Describe any town. Answer with only a JSON object with the keys "name" (a string), "inhabitants" '
            '(an integer) and "sights" (an array of exactly two strings), and no others.',
            {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "inhabitants": {"type": "integer"},
                    "sights": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
                },
                "required": ["name", "inhabitants", "sights"],
                "additionalProperties": False,
            },
        ),
    ],
    "reasoning": [
        _concludes("What is 17 * 23 - 48?", "343"),
        _concludes(
            "A tank holds 240 litres. A tap fills it with 12 litres a minute while a leak takes 4 litres a minute. "
            "After how many minutes is the empty tank full?",
            "30",
        ),
        _concludes("Today is Wednesday. Which day of the week is it in 100 days?", "Friday"),
        _concludes(
            "Ben is younger than Anna. Cara is older than Anna. Dora is younger than Ben. Who is the second oldest?",
            "Anna",
        ),
    ],
}
