import json
import os
from pathlib import Path
from typing import Any

import pytest
from foreign import (
    AT,
    DAY,
    RATED,
    argilla_record,
    iso,
    langfuse_generation,
    langfuse_score,
    langsmith_feedback,
    langsmith_run,
    lines,
    read,
)

from pipeline.backends.sources import persons
from pipeline.backends.sources.argilla import Argilla
from pipeline.backends.sources.langfuse import Langfuse
from pipeline.backends.sources.langsmith import LangSmith


@pytest.mark.parametrize(
    ("name", "value", "thumb"),
    [
        ("user-thumbs", 1, 1),
        ("thumbs", 0, -1),
        ("thumb", -1, -1),
        ("Thumbs Up", True, 1),
        ("thumbs_down", 1, -1),
        ("dislike", True, -1),
        ("thumbs-up-down", 1, 1),
        ("user_feedback", "good", 1),
        ("user_feedback", "👎", -1),
        ("user_feedback", "slow", None),
        ("human rating", 5, 1),
        ("human rating", 2, -1),
        ("human rating", 3, None),
        ("human rating", 9, 1),
        ("human rating", 6, None),
        ("stars", 1, None),
        ("stars", 0, -1),
        ("rating", True, 1),
        ("user_feedback", 0.5, None),
        ("user_feedback", 11, None),
        ("user_feedback", None, None),
        ("thumbsUp", 1, 1),
        ("thumbsdown", 1, -1),
        ("userRating", 5, 1),
        ("star-rating", 1, None),
        ("message_likes", 1, 1),
        ("feedback_download", 1, 1),
        ("hallucination_likelihood", 1, None),
        ("generating_quality", 1, None),
        ("operating_cost", 5, None),
        ("hallucination", 1, None),
        ("correctness", 0, None),
        ("toxicity", True, None),
    ],
)
def test_which_scores_are_thumbs(name: str, value: Any, thumb: int | None):
    assert persons.thumb(name, value) == thumb


def langfuse(folder: Path, *records: dict[str, Any]) -> list[dict[str, Any]]:
    rows, problems = read(Langfuse(lines(folder / "export.jsonl", records)))
    assert problems.count == 0
    return rows


@pytest.mark.parametrize(
    ("score", "feedback"),
    [
        ({}, {"thumb": -1}),
        ({"dataType": "BOOLEAN", "value": 1}, {"thumb": 1}),
        ({"dataType": "CATEGORICAL", "value": "bad"}, {"thumb": -1}),
        ({"dataType": "CATEGORICAL", "value": None, "stringValue": "good"}, {"thumb": 1}),
        ({"dataType": "CORRECTION", "name": "output", "value": "4"}, {"edited": "4"}),
        ({"dataType": "CORRECTION", "name": "output", "value": 0, "stringValue": "4"}, {"edited": "4"}),
        ({"name": "relevance", "comment": "off topic"}, {"comment": "off topic"}),
        ({"source": "EVAL"}, {}),
        ({"name": "relevance"}, {}),
    ],
)
def test_a_score_of_langfuse_is_what_its_name_and_type_say(tmp_path: Path, score: dict[str, Any], feedback: Any):
    (row,) = langfuse(tmp_path, langfuse_score(**score), langfuse_generation(1, AT))
    assert row.get("feedback", {}) == ({**feedback, "at": RATED} if feedback else {})


@pytest.mark.parametrize(
    "about",
    [
        {"traceId": "trace-1"},
        {"traceId": "trace-1", "observationId": "observation-1"},
        {"traceId": "trace-1", "observationId": "root"},
        {"traceId": None, "subject": {"kind": "trace", "id": "trace-1"}},
        {"traceId": None, "subject": {"trace": {"id": "trace-1"}}},
        {"traceId": None, "subject": {"kind": "observation", "id": "observation-1", "traceId": "trace-1"}},
    ],
)
def test_a_score_on_a_trace_or_its_root_is_about_the_last_answer(tmp_path: Path, about: dict[str, Any]):
    root = {"id": "root", "traceId": "trace-1", "type": "SPAN", "startTime": iso(AT - 2)}
    earlier = langfuse_generation(0, AT - 1, traceId="trace-1")
    rows = langfuse(tmp_path, root, langfuse_generation(1, AT), earlier, langfuse_score(**about))
    assert [row.get("feedback", {}).get("thumb") for row in rows] == [-1, None]


def test_feedback_is_as_old_as_the_last_score_that_said_something(tmp_path: Path):
    later = langfuse_score(id="score-2", name="relevance", timestamp=iso(RATED + DAY))
    (row,) = langfuse(tmp_path, later, langfuse_score(), langfuse_generation(1, AT))
    assert row["feedback"] == {"thumb": -1, "at": RATED}


@pytest.mark.parametrize("moments", [{"updatedAt": iso(RATED)}, {"updatedAt": None, "createdAt": iso(RATED)}])
def test_a_score_whose_timestamp_is_empty_is_as_old_as_the_next_one_says(tmp_path: Path, moments: dict[str, Any]):
    (row,) = langfuse(tmp_path, langfuse_score(timestamp=None, **moments), langfuse_generation(1, AT))
    assert row["feedback"] == {"thumb": -1, "at": RATED}


def test_a_score_on_a_session_is_about_no_answer(tmp_path: Path):
    score = langfuse_score(traceId=None, subject={"kind": "session", "id": "s"})
    (row,) = langfuse(tmp_path, score, langfuse_generation(1, AT))
    assert "feedback" not in row


def test_everything_that_langfuse_knows_of_a_generation_is_kept(tmp_path: Path):
    more = {
        "level": "ERROR",
        "statusMessage": "rate limit",
        "userId": "u",
        "sessionId": "s",
        "model": "m",
        "usageDetails": {"input": 3, "output": 5},
        "timeToFirstToken": 0.25,
        "output": None,
    }
    (row,) = langfuse(tmp_path, langfuse_generation(1, AT, **more))
    expected = {"user": "u", "session": "s", "model": "m", "tokens": 5, "latency_ms": 1000.0, "first_token_ms": 250.0}
    assert {key: row[key] for key in expected} == expected
    assert (row["error"], row["success"], row["answer"]) == ("rate limit", False, "")


def test_a_bucket_export_with_underscores_in_several_files_is_read(tmp_path: Path):
    def underscored(record: dict[str, Any]) -> dict[str, Any]:
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): value for key, value in record.items()}

    observations = lines(tmp_path / "observations.jsonl", [underscored(langfuse_generation(1, AT, userId="u"))])
    scores = lines(tmp_path / "scores.jsonl", [underscored(langfuse_score())])
    ((row,), problems) = read(Langfuse(observations, scores))
    assert (row["user"], row["feedback"]["thumb"], problems.count) == ("u", -1, 0)


def test_one_object_with_observations_and_scores_is_read(tmp_path: Path):
    path = tmp_path / "both.json"
    path.write_text(json.dumps({"observations": [langfuse_generation(1, AT)], "scores": [langfuse_score()]}, indent=1))
    ((row,), problems) = read(Langfuse(path))
    assert (row["feedback"]["thumb"], problems.count) == (-1, 0)


def langsmith(folder: Path, *records: dict[str, Any]) -> list[dict[str, Any]]:
    rows, problems = read(LangSmith(lines(folder / "export.jsonl", records)))
    assert problems.count == 0
    return rows


@pytest.mark.parametrize(
    ("given", "feedback"),
    [
        ({}, {"thumb": -1}),
        ({"score": True}, {"thumb": 1}),
        ({"score": None, "value": "bad"}, {"thumb": -1}),
        ({"key": "note", "comment": "too long"}, {"comment": "too long"}),
        ({"key": "correction", "correction": "4"}, {"edited": "4"}),
        ({"key": "correction", "correction": {"output": "4"}}, {"edited": "4"}),
        ({"key": "correction", "correction": {"messages": [{"role": "ai", "content": "4"}]}}, {"edited": "4"}),
        ({"feedback_source": {"type": "model"}}, {}),
        ({"run_id": "trace-1"}, {"thumb": -1}),
        ({"run_id": "root"}, {"thumb": -1}),
        ({"run_id": None}, {"thumb": -1}),
        ({"run_id": "another", "trace_id": "another"}, {}),
    ],
)
def test_feedback_of_langsmith_is_what_it_says_about_a_run_or_its_trace(
    tmp_path: Path, given: dict[str, Any], feedback: dict[str, Any]
):
    root = {"id": "root", "trace_id": "trace-1", "run_type": "chain", "start_time": iso(AT)}
    (row,) = langsmith(tmp_path, root, langsmith_run(1, AT), langsmith_feedback(**given))
    assert row.get("feedback", {}) == ({**feedback, "at": RATED} if feedback else {})


def test_messages_as_langchain_serialises_them_are_read(tmp_path: Path):
    def serialised(kind: str, text: str) -> dict[str, Any]:
        return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", kind], "kwargs": {"content": text}}

    (row,) = langsmith(
        tmp_path,
        langsmith_run(
            1,
            AT,
            inputs={"messages": [[serialised("SystemMessage", "be brief"), serialised("HumanMessage", "2 + 2?")]]},
            outputs={"generations": [[{"text": "5", "message": serialised("AIMessage", "5")}]]},
            extra={"metadata": {"ls_model_name": "m", "thread_id": "t", "user_id": "u"}},
            first_token_time=iso(AT + 0.5),
            completion_tokens=7,
            error="Timeout()",
        ),
    )
    assert row["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2 + 2?"}]
    expected = {"answer": "5", "model": "m", "session": "t", "user": "u", "tokens": 7, "first_token_ms": 500.0}
    assert {key: row[key] for key in expected} == expected
    assert (row["error"], row["success"]) == ("Timeout()", False)


def argilla(folder: Path, *records: dict[str, Any]) -> list[dict[str, Any]]:
    path = lines(folder / "records.jsonl", records)
    os.utime(path, (RATED, RATED))
    rows, problems = read(Argilla(path))
    assert problems.count == 0
    return rows


def given(question: str, *values: Any, status: str | None = "submitted") -> dict[str, Any]:
    return {question: [{"value": value, "user_id": "u", **({"status": status} if status else {})} for value in values]}


@pytest.mark.parametrize(
    ("responses", "feedback"),
    [
        (given("quality", 1), {"thumb": -1}),
        (given("quality", 5), {"thumb": 1}),
        (given("quality", 3), {}),
        (given("quality", 5, 4, 1), {"thumb": 1}),
        (given("quality", 5, 1), {}),
        (given("is_correct", "no"), {"thumb": -1}),
        (given("topic", "history"), {}),
        (given("answer_quality", "partial"), {}),
        (given("correctness", "high"), {}),
        (given("rewrite", "no"), {"edited": "no"}),
        (given("corrected_answer", "4"), {"edited": "4"}),
        (given("comment", "too long", "wrong"), {"comment": "too long; wrong"}),
        (given("quality", 1, status="draft"), {}),
        (given("quality", 1, status="discarded"), {}),
        (given("quality", 1, status=None), {}),
    ],
)
def test_submitted_responses_of_argilla_count_by_the_stated_rule(
    tmp_path: Path, responses: dict[str, Any], feedback: dict[str, Any]
):
    (row,) = argilla(tmp_path, argilla_record(1, AT, responses=responses))
    assert row["at"] == AT
    assert row.get("feedback", {}) == ({**feedback, "at": RATED} if feedback else {})


def test_where_responses_have_no_status_those_of_completed_records_count(tmp_path: Path):
    responses = given("quality", 1, status=None)
    (row,) = argilla(tmp_path, argilla_record(1, AT, responses=responses, status="completed"))
    assert row["feedback"]["thumb"] == -1


def test_a_rating_above_five_shows_that_the_scale_ends_at_ten(tmp_path: Path):
    five, nine = argilla(
        tmp_path,
        argilla_record(1, AT, responses=given("quality", 5)),
        argilla_record(2, AT + DAY, responses=given("quality", 9)),
    )
    assert "feedback" not in five
    assert nine["feedback"]["thumb"] == 1


def test_a_chat_field_is_question_and_answer_and_a_record_without_a_time_is_as_old_as_its_file(tmp_path: Path):
    chat = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "5"}]
    (row,) = argilla(tmp_path, argilla_record(1, AT, fields={"chat": chat}, metadata={}))
    assert (row["messages"], row["answer"], row["at"]) == (chat[:1], "5", RATED)
