import http.server
import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backends.checks.run import judge, validate

VM = {"type": "vm", "memory": {"total": 27}}
PERSON = {"type": "json_schema", "schema": {"type": "object", "required": ["name"]}}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
PREFIXED = {
    "properties": {"name": True},
    "patternProperties": {"^x": {"type": "integer"}},
    "additionalProperties": False,
}
TREE = {"type": "array", "items": {"$ref": "#"}}
EVIL = "^(a|aa)+$"
LETTERS = "a" * 200 + "."
DOUBLING: dict[str, Any] = {
    "$ref": "#/$defs/0",
    "$defs": {"40": True, **{str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)}},
}
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


def nested(depth: int) -> dict[str, Any]:
    """A schema within a schema within …"""
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("specification", "right", "wrong"),
    [
        (VM, 'PUSH #27\nSTORE "total"', 'PUSH #28\nSTORE "total"'),
        (VM, 'PUSH #9\nPUSH #3\nMUL\nSTORE "total"\nHALT', 'PUSH #27\nSTORE "sum"'),
        (VM, 'PUSH #27\nSTORE "total"', "27"),
        (VM, 'PUSH #27\nSTORE "total"', 'PUSH "27"\nSTORE "total"'),
        ({"type": "text", "equals": "Paris"}, "  PARIS\n", "Paris, France"),
        ({"type": "text", "contains": "paris"}, "It is Ｐａｒｉｓ.", "It is Lyon."),
        ({"type": "regex", "pattern": r"^\d+$"}, "42", "42 apples"),
        ({"type": "regex", "pattern": "sorry", "forbid": True}, "Yes.", "I am sorry."),
        (PERSON, '{"name": "x"}', '{"nam": "x"}'),
        (PERSON, ' {"name": null} ', "name: x"),
        ({"type": "regex", "pattern": r"f{d}o{2}$"}, "f{d}oo", "foo"),
        ({"type": "regex", "pattern": r"^[\w.]+@(?P<host>\w+)(?:\.(?P=host))*+\Z(?<!x)"}, "a.b@c.c", "a.b@c.c x"),
        ({"type": "json_schema", "schema": {"pattern": "^a+$"}}, '"aa"', '"ab"'),
        ({"type": "json_schema", "schema": PREFIXED}, '{"x1": 1, "name": "b"}', '{"x1": "1"}'),
        ({"type": "json_schema", "schema": PREFIXED}, "{}", '{"name": 1, "other": 2}'),
        ({"type": "json_schema", "schema": {**PREFIXED, "$schema": DRAFT_7}}, '{"x1": 1}', '{"other": 2}'),
        ({"type": "json_schema", "schema": TREE}, "[[], [[]]]", "[[1]]"),
        ({"type": "json_schema", "schema": {"uniqueItems": True}}, "[1, [1]]", "[1, 1.0]"),
        ({"type": "json_schema", "schema": {}}, "1e3", "NaN"),
        ({"type": "json_schema", "schema": {}}, "null", "[-Infinity]"),
    ],
)
def test_a_right_answer_passes_and_a_wrong_one_fails_with_a_reason(
    specification: dict[str, Any], right: str, wrong: str
):
    validate(specification)
    accepted, refused = judge(right, specification), judge(wrong, specification)
    assert (accepted.passed, accepted.error) == (True, None)
    assert refused.passed is False
    assert refused.error


def test_a_refusal_by_the_vm_does_not_reveal_the_right_value():
    outcome = judge('PUSH #1\nSTORE "total"', VM)
    assert outcome.error == "wrong value in total"


def test_without_expected_memory_a_program_is_only_executed_and_its_result_reported():
    outcome = judge('PUSH #2\nSTORE "b"\nPUSH #1\nSTORE "a"', {"type": "vm"})
    assert (outcome.passed, outcome.result) == (None, '{"a": 1, "b": 2}')
    assert judge("nonsense", {"type": "vm"}).passed is False


def test_equal_json_values_give_equal_results():
    one, other = judge('{"name": 1, "b": [2]}', PERSON), judge('{ "b":[2],"name":1}', PERSON)
    assert one.result == other.result


@pytest.mark.parametrize(
    "specification",
    [
        {},
        {"type": "python"},
        {"type": None},
        {"type": ["vm"]},
        {"type": "vm", "memory": 27},
        {"type": "vm", "memory": None},
        {"type": "vm", "memory": {"total": 2.5}},
        {"type": "text"},
        {"type": "text", "equals": 5},
        {"type": "text", "equals": "a", "contains": "b"},
        {"type": "regex"},
        {"type": "regex", "pattern": "("},
        {"type": "regex", "pattern": 5},
        {"type": "regex", "pattern": "a{99999999999999}"},
        {"type": "regex", "pattern": "a{99999999999999999999}"},
        {"type": "regex", "pattern": "(" * 5000 + ")" * 5000},
        {"type": "regex", "pattern": "a{4294967294}"},
        {"type": "regex", "pattern": "((a{100}){100} ){100}"},
        {"type": "regex", "pattern": "(?R)?a"},
        {"type": "refusal", "expected": True, "pattern": "a{99999999999999999999}"},
        {"type": "refusal", "expected": True, "pattern": "(" * 5000 + ")" * 5000},
        {"type": "json_schema"},
        {"type": "json_schema", "schema": 5},
        {"type": "json_schema", "schema": {"type": "person"}},
        {"type": "json_schema", "schema": {"$schema": 5}},
        {"type": "json_schema", "schema": {"pattern": "("}},
        {"type": "json_schema", "schema": {"pattern": "a{99999999999999999999}"}},
        {"type": "json_schema", "schema": nested(900)},
        {"type": "json_schema", "schema": nested(5000)},
        {"type": "json_schema", "schema": {"title": "x" * 100_001}},
        {"type": "json_schema", "schema": {"unevaluatedProperties": False, "patternProperties": {"a": True}}},
        {"type": "python", "function": "f", "cases": [{"args": nested(5000)}]},
    ],
)
def test_an_unusable_check_is_a_value_error(specification: dict[str, Any]):
    with pytest.raises(ValueError, match="check"):
        validate(specification)


@pytest.mark.parametrize(
    "answer",
    ["", "[" * 100_000, "1" * 5000, "NaN", "1e999", '"\ud800"', '{"name": ' * 500 + "1" + "}" * 500, "\0"],
)
@pytest.mark.parametrize(
    "specification", [VM, {"type": "vm"}, PERSON, {"type": "json_schema", "schema": {"multipleOf": 0.1}}]
)
def test_an_answer_that_makes_no_sense_never_raises(answer: str, specification: dict[str, Any]):
    assert judge(answer, specification).passed in (True, False, None)


@settings(max_examples=100)
@given(st.sampled_from(["vm", "text", "regex", "json_schema"]), JSON, st.text(max_size=30), st.data())
def test_a_check_that_was_validated_judges_any_answer(kind: str, value: Any, answer: str, data: st.DataObject):
    key = data.draw(st.sampled_from(["memory", "equals", "contains", "pattern", "schema"]))
    specification = {"type": kind, key: value, "contains": "x"}
    try:
        validate(specification)
    except ValueError:
        return
    for each in (answer, json.dumps(value)):
        assert judge(each, specification).passed in (True, False, None)


@pytest.mark.parametrize(
    ("specification", "answer"),
    [
        ({"type": "regex", "pattern": EVIL}, LETTERS),
        ({"type": "regex", "pattern": EVIL, "forbid": True}, LETTERS),
        ({"type": "refusal", "expected": False, "pattern": EVIL}, LETTERS),
        *(
            ({"type": "json_schema", "schema": schema}, json.dumps(answer))
            for schema, answer in [
                ({"pattern": EVIL}, LETTERS),
                ({"patternProperties": {EVIL: True}}, {LETTERS: 1}),
                ({"patternProperties": {EVIL: True}, "additionalProperties": False}, {LETTERS: 1}),
                ({"additionalProperties": False, "patternProperties": {EVIL: True}}, {LETTERS: 1}),
                ({"propertyNames": {"pattern": EVIL}}, {LETTERS: 1}),
                ({"items": {"$schema": DRAFT_7, "pattern": EVIL}}, [LETTERS]),
                (
                    {"$schema": DRAFT_7, "definitions": {"text": {"pattern": EVIL}}, "$ref": "#/definitions/text"},
                    LETTERS,
                ),
                (DOUBLING, 1),
                ({"uniqueItems": True}, [each for number in range(5000) for each in (number, str(number))]),
            ]
        ),
    ],
)
@pytest.mark.timeout(30)
def test_a_check_that_would_take_for_ever_ends_and_nothing_is_right_by_it(specification: dict[str, Any], answer: str):
    validate(specification)
    begun = time.monotonic()
    outcome = judge(answer, specification)
    assert outcome.passed is False
    assert "too long" in str(outcome.error) or "more than 1000 items" in str(outcome.error)
    assert time.monotonic() - begun < 15  # on a busy machine


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#/title", "title": "x"}, "AttributeError"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "person"}}, "$schema": DRAFT_7}, "UnknownType"),
        ({"$ref": "#"}, "RecursionError"),
    ],
)
def test_a_check_that_cannot_be_used_fails_the_answer_and_not_the_night(schema: dict[str, Any], reason: str):
    specification = {"type": "json_schema", "schema": schema}
    validate(specification)
    outcome = judge("1", specification)
    assert outcome.passed is False
    assert f"the check cannot be used ({reason}" in str(outcome.error)


def test_a_schema_reference_that_leads_nowhere_fails_the_answer():
    outcome = judge("1", {"type": "json_schema", "schema": {"$ref": "#/nowhere"}})
    assert outcome.passed is False
    assert "refers to something that is not there" in str(outcome.error)


def test_a_schema_reference_is_never_fetched_from_the_network():
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            asked.append("connection")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/schema.json"
        assert judge("1", {"type": "json_schema", "schema": {"$ref": url}}).passed is False
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("pattern", [r"(?s)\A(?=.*^## Summary$)(?=.*^## Next steps$).{2000,}\Z", "[a-z]{20000}"])
def test_a_long_repetition_of_one_character_is_a_usable_pattern(pattern: str):
    validate({"type": "regex", "pattern": pattern})
