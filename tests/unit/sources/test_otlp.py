import base64
import json
from pathlib import Path
from typing import Any

import pytest
from foreign import ASKED, AT, RATED, SAMPLES, evaluation, lines, otlp_log, otlp_span, read
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.sources import otlp_values
from pipeline.backends.sources.otlp import Otlp
from pipeline.lib.records import content_id

TRACE, SPAN = "bd2a44716616e7dba330057b92af21a5", "e942c1c790a80309"


def otlp(folder: Path, *records: dict[str, Any]) -> Otlp:
    return Otlp(lines(folder / "otlp.jsonl", records))


def test_the_real_sample_gives_one_row_for_the_span_and_the_event_of_one_call():
    rows, _ = read(Otlp(SAMPLES / "otlp_genai_latest.jsonl"))
    assert rows == [
        {
            "id": content_id("otlp", f"{TRACE}:{SPAN}"),
            "source": "otlp:otlp_genai_latest.jsonl",
            "at": 1795173730.6564882,
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi otel"}],
            "answer": "echo: hi otel",
            "model": "fake-7b",
            "latency_ms": 32.745,
            "tokens": 7,
        }
    ]


@pytest.mark.parametrize("kept", ["resourceLogs", "resourceSpans"])
def test_the_event_alone_and_the_span_alone_give_the_same_call_with_the_same_id(tmp_path: Path, kept: str):
    text = (SAMPLES / "otlp_genai_latest.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines() if kept in line]
    ((row,), _) = read(otlp(tmp_path, *records))
    assert row["id"] == content_id("otlp", f"{TRACE}:{SPAN}")
    assert (row["answer"], len(row["messages"]), row["tokens"]) == ("echo: hi otel", 2, 7)


def test_ids_in_hexadecimal_and_in_base64_are_the_same_ids():
    assert otlp_values.identity(base64.b64encode(bytes.fromhex(TRACE)).decode(), 16) == TRACE
    assert otlp_values.identity(TRACE.upper(), 16) == TRACE
    for nothing in ("", None, "0" * 32, "AAAAAAAAAAAAAAAAAAAAAA==", "no id", "abcd"):
        assert otlp_values.identity(nothing, 16) == ""


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def wrapped(plain: Any, as_text: bool) -> dict[str, Any]:
    """As an exporter writes it; 64-bit integers as text or as numbers."""
    match plain:
        case None:
            return {}
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain) if as_text else plain}
        case float():
            return {"doubleValue": str(plain) if as_text else plain}
        case str():
            return {"stringValue": plain}
        case list():
            return {"arrayValue": {"values": [wrapped(each, as_text) for each in plain]} if plain else {}}
        case _:
            pairs = [{"key": key, "value": wrapped(each, as_text)} for key, each in plain.items()]
            return {"kvlistValue": {"values": pairs} if pairs else {}}


@given(PLAIN, st.booleans())
def test_every_attribute_value_is_read_as_it_was_written(plain: Any, as_text: bool):
    assert otlp_values.value(json.loads(json.dumps(wrapped(plain, as_text)))) == plain


@given(st.binary(min_size=8, max_size=8).filter(any))
def test_every_id_is_read_from_both_ways_of_writing_it(raw: bytes):
    assert otlp_values.identity(raw.hex(), 8) == otlp_values.identity(base64.b64encode(raw).decode(), 8) == raw.hex()


@pytest.mark.parametrize("bad", [5, "text", {"oddValue": 1}, {"stringValue": "a", "intValue": 1}, {"intValue": "x"}])
def test_what_is_no_attribute_value_is_refused(bad: Any):
    with pytest.raises(ValueError):
        otlp_values.value(bad)


def legacy(number: int, at: float, as_span_events: bool) -> list[dict[str, Any]]:
    said = [
        ("gen_ai.system.message", {"content": "be brief"}),
        ("gen_ai.user.message", {"content": "question"}),
        ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "answer"}}),
    ]
    span = otlp_span(number, at, gen_ai__system="openai")
    inner = span["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    inner["attributes"] = [each for each in inner["attributes"] if "messages" not in each["key"]]
    if as_span_events:
        inner["events"] = [
            {
                "name": name,
                "timeUnixNano": inner["startTimeUnixNano"],
                "attributes": [{"key": key, "value": wrapped(value, True)} for key, value in body.items()],
            }
            for name, body in said
        ]
        return [span]
    return [*(otlp_log(name, at + 0.5, number, wrapped(body, True)) for name, body in said), span]


@pytest.mark.parametrize("as_span_events", [True, False])
def test_the_older_events_for_each_message_are_put_together(tmp_path: Path, as_span_events: bool):
    ((row,), problems) = read(otlp(tmp_path, *legacy(0, AT, as_span_events)))
    assert row["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "question"}]
    assert (row["answer"], row["at"], problems.count) == ("answer", AT, 0)


def test_the_messages_of_spans_before_that_are_attributes_of_their_events(tmp_path: Path):
    (span,) = legacy(0, AT, True)
    given = {"gen_ai.content.prompt": ("gen_ai.prompt", json.dumps([{"role": "user", "content": "question"}]))}
    given["gen_ai.content.completion"] = ("gen_ai.completion", json.dumps([{"role": "assistant", "content": "answer"}]))
    span["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["events"] = [
        {"name": name, "attributes": [{"key": key, "value": {"stringValue": text}}]}
        for name, (key, text) in given.items()
    ]
    ((row,), _) = read(otlp(tmp_path, span))
    assert (row["messages"], row["answer"]) == ([{"role": "user", "content": "question"}], "answer")


def test_an_event_without_a_span_belongs_to_the_span_with_its_response_id(tmp_path: Path):
    given = {"gen_ai__response__id": "response-0", "gen_ai__response__model": "m"}
    details = otlp_log("gen_ai.client.inference.operation.details", AT, **given)
    ((row,), _) = read(otlp(tmp_path, details, otlp_span(0, AT)))
    assert (row["model"], row["id"]) == ("m", content_id("otlp", f"{1:032x}:{1:016x}"))


def test_a_failed_call_is_an_error(tmp_path: Path):
    span = otlp_span(0, AT, error__type="timeout")
    inner = span["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    inner["attributes"] = [each for each in inner["attributes"] if "output" not in each["key"]]
    inner["status"] = {"code": "STATUS_CODE_ERROR", "message": "took too long"}
    ((row,), _) = read(otlp(tmp_path, span))
    assert (row["error"], row["success"], row["answer"]) == ("timeout: took too long", False, "")


@pytest.mark.parametrize(
    ("values", "feedback"),
    [
        ({"score__value": 0.2}, {"success": False, "error": "relevance: 0.2"}),
        ({"score__value": 0.5}, {"success": True}),
        ({"score__label": "fail", "explanation": "off topic"}, {"success": False, "error": "relevance: off topic"}),
        ({"score__label": "pass", "score__value": 0.1}, {"success": True}),
        ({"score__value": 4.0}, {}),
        ({"score__label": "verbose"}, {}),
        ({"name": "user_feedback", "score__value": 0.0}, {"thumb": -1}),
    ],
)
def test_evaluations_count_by_the_stated_rule(tmp_path: Path, values: dict[str, Any], feedback: dict[str, Any]):
    name = values.pop("name", "relevance")
    judged = evaluation(name, number=0, **{f"gen_ai__evaluation__{key}": value for key, value in values.items()})
    ((row,), _) = read(otlp(tmp_path, judged, otlp_span(0, AT)))
    assert row.get("feedback", {}) == ({**feedback, "at": RATED} if feedback else {})


def test_one_evaluation_that_failed_outweighs_those_that_did_not(tmp_path: Path):
    judged = [evaluation(f"e{number}", number=0, gen_ai__evaluation__score__value=number / 2) for number in range(3)]
    ((row,), _) = read(otlp(tmp_path, otlp_span(0, AT), *judged))
    assert row["feedback"] == {"success": False, "error": "e0: 0.0", "at": RATED}


@pytest.mark.parametrize("operation", ["execute_tool", "invoke_agent", "embeddings"])
def test_spans_of_tools_agents_and_embeddings_are_no_calls(tmp_path: Path, operation: str):
    rows, problems = read(otlp(tmp_path, otlp_span(0, AT, gen_ai__operation__name=operation), otlp_span(1, AT)))
    assert ([row["messages"][0]["content"] for row in rows], problems.count) == (["question 1"], 0)


def test_a_call_whose_messages_were_not_captured_is_counted(tmp_path: Path):
    (bare,) = legacy(0, AT, True)
    bare["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["events"] = []
    rows, problems = read(otlp(tmp_path, bare, otlp_span(1, ASKED[1])))
    assert len(rows) == 1
    assert [each["reason"] for each in problems.to_json()] == ["a call whose messages were not captured"]


def test_of_thoughts_pictures_and_tools_only_what_tools_gave_back_is_text(tmp_path: Path):
    parts = [
        {"type": "text", "content": "what is this?"},
        {"type": "blob", "mime_type": "image/png", "content": "aGVsbG8="},
        {"type": "uri", "uri": "file:///picture"},
    ]
    given = [
        {"role": "user", "parts": parts},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "look", "arguments": {"x": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "a cat"}]},
    ]
    said = [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "a cat"}]
    span = otlp_span(
        0,
        AT,
        gen_ai__input__messages=json.dumps(given),
        gen_ai__output__messages=json.dumps([{"role": "assistant", "parts": said}]),
        gen_ai__system_instructions=json.dumps([{"type": "text", "content": "be brief"}]),
    )
    ((row,), _) = read(otlp(tmp_path, span))
    assert [each["content"] for each in row["messages"]] == [
        "be brief",
        "what is this?",
        '[{"name":"look","arguments":{"x":1}}]',
        "a cat",
    ]
    assert row["answer"] == "a cat"


def test_files_that_were_rotated_are_one_source(tmp_path: Path):
    first = lines(tmp_path / "a.jsonl", [otlp_span(0, AT)])
    second = lines(tmp_path / "b.jsonl", [evaluation(number=0, gen_ai__evaluation__score__value=0.0)])
    source = Otlp(first, second)
    assert source.name == f"otlp:{tmp_path.name}/"
    assert read(source)[0][0]["feedback"]["success"] is False
