"""`{"type": "python", …}`: run the answer's Python in the sandbox, compare what it came to out here.

`"function": "f", "cases": [{"args": [2], "kwargs": {}, "returns": 4}, …]`   calls of a function
`"tests": "assert f(2) == 4\\nassert …"`                                     the same, written as assertions
`"cases": [{"stdin": "2\\n", "stdout": "4\\n"}, …]`                            whole programs

Without `returns` or `stdout` it only has to run; what it comes to is then what a council votes on. The sandbox never
hears what would be right, so an answer cannot say it without having found it; assertions are read, not executed.
"""

import ast
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.backends.checks.interface import Outcome, Specification
from pipeline.backends.sandboxes.choice import chosen
from pipeline.backends.sandboxes.interface import Finished

_MOST_CASES = 200
_LONGEST = 100_000  # characters: of all cases as JSON, of an answer
_LONGEST_TESTS = 20_000  # characters
_LONGEST_ERROR = 200  # characters
_DEEPEST = 50  # lists and objects in each other
_TOLERANCE = 1e-9  # relative, between numbers of which one is a float; absolute where zero is right
_LARGE = 2.0**63  # integers of more than 64 bits are floats by the time that a record has been read


@dataclass(frozen=True, slots=True)
class _Case:
    """What goes in, and (when `compares`) what has to come out."""

    given: dict[str, Any]
    compares: bool
    expected: Any


class PythonCheck:
    """Executes Python, all cases of an answer in one start of the sandbox."""

    def validate(self, specification: Specification) -> None:
        """The forms above; at most 200 cases, 100,000 characters, 20,000 of them assertions."""
        _cases(specification)

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Right when every case comes to what it should.

        Raises:
            SandboxError: no code can be run here, so nothing is known about the answer.
        """
        if len(answer) > _LONGEST:
            return Outcome(False, None, f"longer than {_LONGEST} characters")
        function, cases = _cases(specification)
        given = [case.given for case in cases]
        finished = chosen().run({"answer": answer, "function": function, "cases": given})
        try:
            found = _read(finished, len(cases))
            result = json.dumps([value for _, value in found], sort_keys=True)
        except (ValueError, RecursionError) as error:
            return Outcome(False, None, str(error))
        for number, (kind, value) in enumerate(found, start=1):
            if kind == "error":
                return Outcome(False, None, f"case {number}: {_printable(value)}")
        if not any(case.compares for case in cases):
            return Outcome(None, result)
        # Numbers only: what would have been right is not for whoever reads the error.
        wrong = [
            str(number)
            for number, (case, (_, value)) in enumerate(zip(cases, found, strict=True), start=1)
            if case.compares and not _same(case, value)
        ]
        return Outcome(not wrong, result, f"wrong in case {', '.join(wrong)}" if wrong else None)


def _read(finished: Finished, count: int) -> list[tuple[str, Any]]:
    """What the sandbox said about each case; an answer can say anything in there, so nothing is taken for granted.

    Raises:
        ValueError: it is not a result for each case.
    """
    if finished.stopped is not None:
        raise ValueError(finished.stopped)
    if not finished.said:
        raise ValueError("it ended before its time: out of memory, of processor time, or by itself")
    try:
        found = json.loads(finished.said)
    except (ValueError, RecursionError) as error:
        raise ValueError("what it said is no result") from error
    fine = (
        isinstance(found, list)
        and len(found) == count
        and all(isinstance(each, list) and len(each) == 2 and each[0] in ("value", "error") for each in found)
    )
    if not fine:
        raise ValueError("what it said is no result for each case")
    return [(str(kind), value) for kind, value in found]


def _same(case: _Case, value: Any) -> bool:
    if "stdin" in case.given:
        return isinstance(value, str) and _lines(value) == _lines(case.expected)
    return _equal(case.expected, value)


def _lines(text: str) -> list[str]:
    """Spaces at the ends of lines, and empty lines at the end, do not count."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _equal(expected: Any, value: Any) -> bool:
    """Equal as JSON; floats nearly. True is not 1."""
    if isinstance(expected, bool) or isinstance(value, bool):
        return expected is value
    if isinstance(expected, float) or isinstance(value, float):
        numbers = isinstance(expected, int | float) and isinstance(value, int | float)
        return numbers and _close(expected, value)
    if isinstance(expected, list):
        return isinstance(value, list) and len(expected) == len(value) and all(map(_equal, expected, value))
    if isinstance(expected, dict):
        return (
            isinstance(value, dict)
            and expected.keys() == value.keys()
            and all(_equal(each, value[key]) for key, each in expected.items())
        )
    return bool(expected == value)


def _close(expected: float, value: float) -> bool:
    try:
        return math.isclose(expected, value, rel_tol=_TOLERANCE, abs_tol=0.0 if expected else _TOLERANCE)
    except OverflowError:  # an integer beyond all floats
        return False


def _printable(text: Any) -> str:
    """On one line, without what would move a terminal's cursor."""
    return "".join(each if each.isprintable() else " " for each in str(text)[:_LONGEST_ERROR])


def _cases(specification: Specification) -> tuple[str | None, list[_Case]]:
    """The function and its cases.

    Raises:
        ValueError: the specification cannot be used.
    """
    function, cases, tests = (specification.get(key) for key in ("function", "cases", "tests"))
    if tests is not None:
        if function is not None or cases is not None:
            raise ValueError("check python: give tests, or cases, not both")
        if not isinstance(tests, str) or len(tests) > _LONGEST_TESTS:
            raise ValueError(f"check python: tests must be a text of at most {_LONGEST_TESTS} characters")
        return _from_assertions(tests)
    if function is not None and not (isinstance(function, str) and function.isidentifier()):
        raise ValueError("check python: function must be a name")
    if not isinstance(cases, list) or not 1 <= len(cases) <= _MOST_CASES:
        raise ValueError(f"check python: cases must be a list of 1 to {_MOST_CASES}")
    try:
        if len(json.dumps(cases)) > _LONGEST:
            raise ValueError(f"check python: cases are longer than {_LONGEST} characters")
    except (TypeError, RecursionError) as error:
        raise ValueError("check python: cases must be JSON") from error
    _require_shallow(cases)
    given = [[case.get("args"), case.get("kwargs")] for case in cases if isinstance(case, dict)]
    if any(each.is_integer() and abs(each) >= _LARGE for each in _floats(given)):
        raise ValueError("check python: whole numbers of 2**63 and more would arrive as floats; write them in `tests`")
    return function, [_program(case) if function is None else _call(case) for case in cases]


def _require_shallow(cases: Any) -> None:
    if _depth(cases) > _DEEPEST:
        raise ValueError(f"check python: cases are nested deeper than {_DEEPEST} levels")


def _depth(value: Any) -> int:
    return 1 + max(map(_depth, _inner(value)), default=0)


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    for each in _inner(value):
        yield from _floats(each)


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def _call(case: Any) -> _Case:
    fields = {"args": list, "kwargs": dict}
    if not isinstance(case, dict) or not case.keys() <= {*fields, "returns"}:
        raise ValueError("check python: a case of a function has args, kwargs and returns")
    given = {key: case[key] for key in fields if key in case}
    if not all(isinstance(value, fields[key]) for key, value in given.items()):
        raise ValueError("check python: args must be a list, kwargs an object")
    return _Case(given, "returns" in case, case.get("returns"))


def _program(case: Any) -> _Case:
    fine = (
        isinstance(case, dict)
        and case.keys() <= {"stdin", "stdout"}
        and all(isinstance(value, str) for value in case.values())
    )
    if not fine:
        raise ValueError("check python: without a function, a case has the texts stdin and stdout")
    return _Case({"stdin": case.get("stdin", "")}, "stdout" in case, case.get("stdout"))


def _from_assertions(tests: str) -> tuple[str, list[_Case]]:
    """`assert f(literals) == literal`, and with `is`; the name and the cases. Nothing is executed.

    Raises:
        ValueError: anything else, more than one function, or too much of it.
    """
    try:
        statements = ast.parse(tests).body
        found = [_assertion(each) for each in statements]
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(
            "check python: tests can only be lines like `assert f(2, name='x') == 4`, with a literal of JSON as result"
        ) from error
    names = {name for name, _ in found}
    if len(names) != 1:
        raise ValueError("check python: tests must be about one function")
    if len(found) > _MOST_CASES:
        raise ValueError(f"check python: tests must be at most {_MOST_CASES}")
    _require_shallow([[case.given, case.expected] for _, case in found])
    return names.pop(), [case for _, case in found]


def _assertion(statement: ast.stmt) -> tuple[str, _Case]:
    """The arguments go in as they are written; what comes out is JSON, so that is what the right value becomes."""
    match statement:
        case ast.Assert(
            ast.Compare(ast.Call(ast.Name(name), arguments, keywords), [ast.Eq() | ast.Is()], [expected])
        ) if all(keyword.arg for keyword in keywords):
            given = {
                "args": [ast.literal_eval(each) for each in arguments],
                "kwargs": {str(each.arg): ast.literal_eval(each.value) for each in keywords},
            }
            return name, _Case(given, True, json.loads(json.dumps(ast.literal_eval(expected), allow_nan=False)))
    raise ValueError("not such an assertion")
