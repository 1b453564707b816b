import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.checks.run import judge
from pipeline.evolution.assembler import VmError
from pipeline.evolution.categories import CATEGORIES, categorize
from pipeline.evolution.machine import run


@pytest.mark.parametrize(
    ("program", "category"),
    [
        ("PUSH 7", "syntax"),
        ("JMP nowhere", "syntax"),
        ("ADD", "stack"),
        ('PUSH "a"\nPUSH #1\nADD', "type"),
        ("PUSH #1\nPUSH #0\nDIV", "arithmetic"),
        ("again:\nJMP again", "limit"),
        ("again:\nCALL again", "limit"),
        ('LOAD "total"', "logic"),  # the VM says memory: nothing was stored there
    ],
)
def test_what_the_machine_refuses_has_the_category_that_it_names(program: str, category: str):
    with pytest.raises(VmError) as raised:
        run(program)
    assert categorize(str(raised.value)) == category
    assert categorize(f"no draft passed its check; most often: {raised.value}") == category


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("if True print(1)", "syntax"),
        ("import json\njson.loads('{')", "syntax"),
        ("1 + 'a'", "type"),
        ("None.strip()", "type"),
        ("1 / 0", "arithmetic"),
        ("f = lambda: f()\nf()", "limit"),
        ("raise TimeoutError('timed out')", "time-out"),
        ("assert 1 == 2", "logic"),
        ("{}['a']", "logic"),
        ("total", "logic"),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    assert False", "logic"),  # the last one is what ended it
    ],
)
def test_a_python_traceback_has_the_category_of_its_last_exception(code: str, category: str):
    try:
        exec(code, {})
    except Exception:
        assert categorize(traceback.format_exc()) == category
    else:
        pytest.fail("the code was meant to fail")


@pytest.mark.parametrize(
    ("answer", "check", "category"),
    [
        ("{", {"type": "json_schema", "schema": {}}, "syntax"),
        ("7", {"type": "json_schema", "schema": {"type": "string"}}, "type"),
        ("{}", {"type": "json_schema", "schema": {"required": ["name"]}}, "logic"),
        ("no", {"type": "text", "equals": "yes"}, "logic"),
        ("no", {"type": "regex", "pattern": "yes"}, "logic"),
        ("Sure.", {"type": "refusal", "expected": True}, "logic"),
        ('PUSH #1\nSTORE "x"', {"type": "vm", "memory": {"x": 2}}, "logic"),
    ],
)
def test_what_our_checks_say_has_a_category(answer: str, check: dict[str, object], category: str):
    assert categorize(judge(answer, check).error) == category


@pytest.mark.parametrize(
    ("text", "category"),
    [
        (None, "unknown"),
        ("", "unknown"),
        ("thumbs down", "unknown"),
        ("the server timed out after 30 s", "time-out"),
        ("subprocess.TimeoutExpired: Command 'x' timed out", "time-out"),
        ("SyntaxError: Unexpected token '}'", "syntax"),
        ("RangeError: Maximum call stack size exceeded", "limit"),
        ("ReferenceError: total is not defined", "logic"),
        ("killed: out of memory", "limit"),
        ("stack underflow", "stack"),
        ("line 3: mysterious error: timed out", "time-out"),
    ],
)
def test_other_texts_are_sorted_by_their_words(text: str | None, category: str):
    assert categorize(text) == category


@given(st.text() | st.none())
def test_every_text_has_exactly_one_category(text: str | None):
    assert categorize(text) in CATEGORIES
    assert categorize(text) == categorize(text)


@given(st.text(max_size=50), st.sampled_from([each for each in CATEGORIES if each != "unknown"]))
def test_an_error_of_the_machine_is_found_wherever_it_stands(around: str, category: str):
    assert categorize(f"{around}\nline 12: {category} error: {json.dumps(around)}") in CATEGORIES
    assert categorize(f"council: line 12: {category} error: {json.dumps(around)}") == category
