import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import CHECK, SQUARE, with_sandbox

from pipeline.backends.checks.run import judge, usable, validate
from pipeline.backends.sandboxes.inside import as_json, code_of
from pipeline.backends.teachers.council import decide
from pipeline.backends.teachers.interface import Draft

SQUARES = {
    "type": "python",
    "function": "f",
    "cases": [{"args": [2], "returns": 4}, {"kwargs": {"x": -3}, "returns": 9}, {"args": [0.5], "returns": 0.25}],
}
TESTS = {"type": "python", "tests": "assert f(2) == 4\nassert f(x=-3) == 9\n"}
DOUBLES = {"type": "python", "cases": [{"stdin": "2\n", "stdout": "4\n"}, {"stdin": "-3\n", "stdout": "-6"}]}
ONLY_RUN = {"type": "python", "function": "f", "cases": [{"args": [2]}, {"args": [3]}]}
NEXT, TAB = "\n", "\t"
INDENTED = SQUARE.replace(NEXT, "\n   ")


@pytest.fixture(autouse=True, scope="module")
def _a_sandbox() -> Iterator[None]:
    with with_sandbox():
        yield


@pytest.mark.parametrize("specification", [SQUARES, TESTS, ONLY_RUN])
@pytest.mark.parametrize(
    "answer",
    [
        SQUARE,
        f"```python\n{SQUARE}```",
        f"Sure, here it is:\n\n```py\n{SQUARE}```\n\nIt multiplies `x` by itself.\n```\n4\n```",
        f"~~~\n{SQUARE}~~~",
        f"1. Square it:\n\n   ```python\n   {INDENTED}```\n\n2. Done.",
        f"- Square it:\n\n\t```python\n\t{SQUARE.replace(NEXT, NEXT + TAB)}```",
        f"  ```python\n{SQUARE}  ```",
        f"```python\n{SQUARE}",
        f"Sure, here it is:\n\n{SQUARE}\nIt multiplies x by itself.",
        f"```python\ndef f(x):\n    return 2 * x\n```\nWrong, of course. Better:\n```python\n{SQUARE}```",
        f"```python\n{SQUARE}```\nTry it:\n```python\nprint(f(input()))\n```",
        f"{SQUARE}\nif __name__ == '__main__':\n    print(f(int(input())))",
        "from functools import reduce\nf = lambda x: reduce(lambda a, b: a * b, [x, x])",
        "class f:\n    def __new__(cls, x): return x * x",
    ],
)
def test_a_right_function_passes_however_the_answer_is_written(answer: str, specification: dict[str, Any]):
    outcome = judge(answer, specification)
    assert outcome.error is None
    assert outcome.passed is (None if specification is ONLY_RUN else True)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("def f(x):\n    return 4", "wrong in case 2, 3"),
        ("def f(x):\n    return str(x * x)", "wrong in case 1, 2, 3"),
        ("def g(x):\n    return x", "case 1: no function f"),
        ("def f(x):\n    return x.y", "case 1: AttributeError"),
        ("def f(x):\n    return {1}", "case 1: TypeError"),
        ("def f(x):\n    return float('nan')", "case 1: ValueError"),
        ("def f(x: oops):\n    return x", "case 1: NameError"),
        ("I do not know.", "case 1: SyntaxError"),
        ("", "case 1: no function f"),
        ("\0", "case 1: "),
        ("\ud800", "case 1: "),
        ("def f(x):\n    return 10 ** 5000", "case 1: ValueError"),
        ("def f(x):\n    return '\\ud800'", "wrong in case 1, 2, 3"),
        ("def f(x):\n    raise ValueError('\\x1b[2J' + 'x' * 10**6)", "case 1: ValueError:  [2Jxxx"),
        (f"{SQUARE}#" + "x" * 100_000, "longer than"),
        ("def f(x):\n    y = []\n    for _ in range(5000): y = [y]\n    return y", "case 1: RecursionError"),
        ("def f(x):\n    return 'x' * 2**21", "said more than"),
        ("def f(x):\n    return f(x)", "case 1: RecursionError"),
    ],
)
def test_a_wrong_answer_fails_with_a_short_reason(answer: str, reason: str):
    outcome = judge(answer, SQUARES)
    assert outcome.passed is False
    assert str(outcome.error).startswith(reason)
    assert len(str(outcome.error)) < 250
    assert str(outcome.error).isprintable()


def test_the_reason_does_not_reveal_the_right_value():
    outcome = judge("def f(x):\n    return 'wrong'", {**CHECK, "cases": [{"args": [1], "returns": "right"}]})
    assert outcome.error == "wrong in case 1"


@pytest.mark.parametrize(
    "answer",
    [
        "print(int(input()) * 2)",
        "import sys\nprint(2 * int(sys.stdin.read()), end='  \\n\\n')",
        "import sys\nfor line in sys.stdin: sys.stdout.write(str(2 * int(line)))",
        "import os\nos.write(1, b'%d' % (2 * int(open(0).read())))",
        "def main():\n    print(int(input()) * 2)\nif __name__ == '__main__':\n    main()\n    exit()",
        "```\nprint(int(input()) * 2)\n```",
    ],
)
def test_a_whole_program_passes_by_what_it_prints(answer: str):
    outcome = judge(answer, DOUBLES)
    assert (outcome.passed, outcome.error) == (True, None)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("print(int(input()) + 2)", "wrong in case 2"),
        ("print(int(input()) * 2)\nexit(1)", "case 1: ended with 1"),
        ("input(); input()", "case 1: EOFError"),
        ("import sys; sys.stdout.close()", "case 1: ValueError"),
        ("1 / 0", "case 1: ZeroDivisionError"),
    ],
)
def test_a_whole_program_fails_by_what_it_prints(answer: str, reason: str):
    outcome = judge(answer, DOUBLES)
    assert outcome.passed is False
    assert str(outcome.error).startswith(reason)


CHEATS = {
    "prints what the harness says": """print('inside\\n[["value", 4], ["value", 9], ["value", 0.25]]')""",
    "ends early and successfully": "import os\nos._exit(0)",
    "ends politely": "raise SystemExit(0)",
    "ends in the call": "import os\ndef f(x): os._exit(0)",
    "says nothing but true": """
import os
os.write(3, b'[["value", true], ["value", true], ["value", true]]')
os._exit(0)""",
    "speaks before the harness does": f"import os\nos.write(3, b'[[\"value\", 4]]')\n{SQUARE}",
    "says too little": "import os\nos.write(3, b'[[\"value\", 4]]')\nos._exit(0)",
    "says what is no result": "import os\nos.write(3, b'{\"passed\": true}')\nos._exit(0)",
    "says it deeper than can be read": "import os\nos.write(3, b'[' * 100000)\nos._exit(0)",
    "is equal to everything": "class A:\n    def __eq__(self, other): return True\ndef f(x): return A()",
    "is a number equal to everything": "class A(int):\n    def __eq__(self, other): return True\ndef f(x): return A(1)",
    "is a list equal to everything": "class A(list):\n    def __eq__(self, other): return True\ndef f(x): return A()",
    "is a text equal to everything": "class A(str):\n    def __eq__(self, other): return True\ndef f(x): return A('4')",
    "writes JSON its own way": "import json\njson.dumps = lambda *_, **__: 'true'\ndef f(x): return 1",
    "replaces built-in functions": """
import builtins
for name in ('isinstance', 'all', 'any', 'len', 'zip', 'map', 'bool'):
    setattr(builtins, name, lambda *_: True)
def f(x): return 1""",
    "replaces the harness": "import __main__\n__main__._call = lambda *_: ('value', True)\ndef f(x): return 1",
    "replaces the error of assertions": "import builtins\nbuiltins.AssertionError = KeyError\ndef f(x): return 1",
    "looks for the right values": """
import gc, sys
def f(x):
    frame = sys._getframe()
    while frame:
        for value in frame.f_locals.values():
            if isinstance(value, dict) and 'returns' in value: return value['returns']
            if isinstance(value, list):
                for each in value:
                    if isinstance(each, dict) and 'returns' in each: return each['returns']
        frame = frame.f_back
    for each in gc.get_objects():
        if isinstance(each, dict) and 'returns' in each: return each['returns']""",
    "reads the task again": """
import json, os
def f(x):
    os.lseek(0, 0, 0)
    return json.loads(os.read(0, 10**6))['cases'][0]['returns']""",
    "kills itself": "import os\nos.kill(os.getpid(), 9)",
    "hides in an error": "def f(x): raise ValueError('[\"value\", 4]')",
}


@pytest.mark.parametrize("specification", [SQUARES, TESTS])
@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_does_not_pass(name: str, specification: dict[str, Any]):
    outcome = judge(CHEATS[name], specification)
    assert outcome.passed is False
    assert outcome.error


def test_what_cannot_be_compared_is_voted_on_by_its_result():
    drafts = [Draft(code) for code in (SQUARE, "f = lambda x: x ** 2", "f = lambda x: 2 * x", "f = 1", "?")]
    decision = decide(drafts, ONLY_RUN)
    assert decision.draft is not None
    assert decision.draft.answer == "f = lambda x: x ** 2"
    assert decision.votes == {"cast": 5, "valid": 3, "agreeing": 2, "same": 1}
    assert decision.verified_by == "python"


def test_the_same_answer_comes_to_the_same_result_every_time():
    shuffles = "def f(x): return list({str(n) for n in range(50)})"
    assert len({judge(shuffles, ONLY_RUN).result for _ in range(3)}) == 1


def test_many_at_a_time_do_not_mix():
    answers = [f"def f(x): return x + {number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda answer: judge(answer, ONLY_RUN).result, answers))
    assert found == [json.dumps([2 + number, 3 + number]) for number in range(16)]


@pytest.mark.parametrize(
    ("returns", "value", "same"),
    [
        (4, "4.0", True),
        (0.3, "0.1 + 0.2", True),
        (1, "True", False),
        (True, "1", False),
        ([1, [2]], "(1, (2,))", True),
        ([1, 2], "[1]", False),
        ({"1": 2}, "{1: 2}", True),
        ({"1": 2}, "{1: 2, 3: 4}", False),
        (None, "None", True),
        (None, "0", False),
        ("4", "4", False),
        (0.5, "10 ** 400", False),
        (0.5, "'x'", False),
        ([0.3], "[0.1 + 0.2]", True),
        (6.674e-11, "0.0", False),
        (6.674e-11, "6.674e-11 * (1 + 1e-12)", True),
        (0.0, "1e-12", True),
        (0, "1e-8", False),
        (2**63 - 1, "2 ** 63 - 1", True),
    ],
)
def test_values_are_compared_as_json(returns: Any, value: str, same: bool):
    check = {"type": "python", "function": "f", "cases": [{"returns": returns}]}
    assert judge(f"def f(): return {value}", check).passed is same


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"function": "f"},
        {"cases": []},
        {"cases": {}},
        {"cases": [{}] * 201},
        {"cases": [{"stdin": "x" * 100_001}]},
        {"cases": [{"stdin": 5}]},
        {"cases": [{"args": [1]}]},
        {"cases": [None]},
        {"function": "f", "cases": [{"stdin": "x"}]},
        {"function": "f", "cases": [{"args": 1}]},
        {"function": "f", "cases": [{"kwargs": [1]}]},
        {"function": "f()", "cases": [{}]},
        {"function": ["f"], "cases": [{}]},
        {"function": "f", "cases": [{"args": [json.loads("[" * 60 + "]" * 60)]}]},
        {"function": "f", "cases": [{"args": [float(2**64)]}]},
        {"function": "f", "cases": [{"kwargs": {"x": {"y": -float(2**64)}}}]},
        {"function": "f", "tests": "assert f(1) == 1"},
        {"tests": "assert f(1) == 1\n" * 201},
        {"tests": "assert f(" + "[" * 60 + "]" * 60 + ") == 1"},
        {"tests": "assert f(1) == {(1, 2): 3}"},
        {"tests": 5},
        {"tests": ""},
        {"tests": "x" * 20_001},
        {"tests": "import os; os.system('true')"},
        {"tests": "assert f(1)"},
        {"tests": "assert f(g(1)) == 1"},
        {"tests": "assert f(__import__('os')) == 1"},
        {"tests": "assert f(*[1]) == 1"},
        {"tests": "assert f(**{'x': 1}) == 1"},
        {"tests": "assert f(1) == g(1)"},
        {"tests": "assert f(1) == {1, 2}"},
        {"tests": "assert f(1) == 1e999"},
        {"tests": "assert f(1) == 1\nassert g(1) == 1"},
        {"tests": "assert o.f(1) == 1"},
        {"tests": "assert f(1) == 1 == 1"},
        {"tests": "assert f(" + "[" * 9000 + "1" + "]" * 9000 + ") == 1"},
        {"tests": "assert f(1) == " + "-" * 19_000 + "1"},
        {"tests": "assert f(1) == " + "1+" * 9000 + "1"},
        {"tests": "assert f(1) == " + "9" * 5000},
        {"tests": "\0"},
    ],
)
def test_an_unusable_check_is_a_value_error(fields: dict[str, Any]):
    with pytest.raises(ValueError, match="check python"):
        validate({"type": "python", **fields})


def test_a_check_that_came_with_a_conversation_is_usable_where_code_can_be_run():
    assert usable(SQUARES)
    assert not usable({"type": "python"})


def test_assertions_are_read_and_never_executed():
    tests = "assert f('a', n=[1, -2.5, None, True], m={'k': (1, 2)}) == {'x': -1}\nassert f() is None"
    echo = "def f(*args, **kwargs): return {'x': -1} if args else None"
    assert judge(echo, {"type": "python", "tests": tests}).passed is True


@pytest.mark.parametrize(
    ("test", "body"),
    [
        ("f({1: 'a', (2, 3): None}) == 'a'", "return x[1] if (2, 3) in x else None"),
        ("f((1, 2)) == (1, 2, 3)", "return x + (3,)"),
        ("f(x=[(1,), {2}]) == [1, 2]", "return [x[0][0], *x[1]]"),
        ("f(b'ab') == 97", "return x[0]"),
        ("f((1, 2)) == True", "return isinstance(x, tuple) and hash(x) is not None"),
        ("f(18446744073709551617) == 18446744073709551619", "return x + 2"),
    ],
)
def test_arguments_of_an_assertion_arrive_as_they_are_written(test: str, body: str):
    specification = {"type": "python", "tests": f"assert {test}"}
    validate(specification)
    assert judge(f"def f(x):\n    {body}", specification).error is None
    assert judge("def f(x): return 5", specification).passed is False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON | st.text(st.characters()))
def test_what_the_sandbox_writes_is_what_is_read_outside(value: Any):
    assert json.loads(as_json(value).encode("utf-8", "surrogatepass")) == value


@given(st.dictionaries(st.integers() | st.booleans() | st.none() | st.floats(-1, 1), st.booleans(), max_size=5))
def test_keys_that_are_no_texts_become_texts_as_they_do_everywhere(value: dict[Any, Any]):
    assert json.loads(as_json(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, b"x", {(1, 2): 3}, 1j])
def test_what_is_not_json_is_refused(value: Any):
    with pytest.raises((TypeError, ValueError)):
        as_json(value)


def test_prose_behind_plain_code_is_cut_off_however_long_it_is():
    prose = "So it is (as you can see\nsquared.\n" * 5000
    assert code_of(f"Here:\n\nimport math\n{SQUARE}\n{prose}", "f").strip() == f"import math\n{SQUARE}".strip()
    assert code_of(prose, "f") == prose


LINES = st.text(st.characters(exclude_characters="`~\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029", codec="utf-8"), max_size=30)


@settings(max_examples=200)
@given(LINES, LINES, st.sampled_from(["python", "Python", "py", ""]), st.sampled_from(["```", "~~~", "````"]))
def test_fenced_code_is_found_between_any_two_lines(before: str, after: str, language: str, fence: str):
    answer = f"{before}\n{fence}{language}\n{SQUARE}{fence}\n{after}"
    assert code_of(answer, "f") == SQUARE.strip()
    assert code_of(answer, None) == SQUARE.strip()


@settings(max_examples=200)
@given(st.text(), st.sampled_from(["f", None]))
def test_any_text_has_some_code(answer: str, function: str | None):
    assert isinstance(code_of(answer, function), str)
