import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.backends.executors.local import LocalExecutor
from pipeline.backends.sources.failures import Found, failures
from pipeline.backends.sources.interface import Source
from pipeline.backends.sources.openai_jsonl import OpenAiJsonl
from pipeline.backends.sources.own_log import OwnLog
from pipeline.lib import jsonl
from pipeline.lib.errors import UnavailableError
from pipeline.lib.problems import Problems
from pipeline.lib.records import Feedback, Interaction, failure_signal

AT = 1_763_600_000.0  # 2025-11-20 00:53 UTC
DAY = 24 * 3600.0
UNUSABLE = "an interaction without id, time, question or answer"
ASKED = [{"role": "user", "content": "what is 2 + 2?"}]


def interaction(identity: str = "a" * 24, at: float = AT, **more: Any) -> dict[str, Any]:
    return {
        "kind": "interaction",
        "id": identity,
        "source": "gateway",
        "at": at,
        "messages": ASKED,
        "answer": "5",
    } | more


def feedback(identity: str = "a" * 24, **said: Any) -> dict[str, Any]:
    return {"kind": "feedback", "interaction_id": identity, "at": AT, **said}


def own(folder: Path, **days: list[dict[str, Any]]) -> OwnLog:
    for day, records in days.items():
        jsonl.append(folder / f"2025-11-{day.removeprefix('d')}.jsonl", records)
    return OwnLog(folder)


def test_feedback_of_a_later_day_is_joined_to_its_interaction(tmp_path: Path):
    log = own(tmp_path, d20=[interaction(success=True)], d23=[feedback(thumb=-1, comment="wrong")])
    (found,) = log.interactions(AT, AT + 1)
    assert found.feedback == Feedback(at=AT, thumb=-1, comment="wrong")
    assert found.success is False


def test_later_feedback_overrides_what_it_says_and_keeps_the_rest(tmp_path: Path):
    said = [feedback(thumb=-1, comment="wrong"), feedback(thumb=1), feedback(edited="4")]
    (found,) = own(tmp_path, d20=[interaction(), *said]).interactions(0, AT + 1)
    assert found.feedback == Feedback(at=AT, thumb=1, comment="wrong", edited="4")
    assert found.success is True


def test_what_executing_showed_counts_before_a_thumb(tmp_path: Path):
    check = {"type": "vm", "memory": {"x": 4}}
    said = feedback(thumb=1, success=False, error="wrong value in x", check=check)
    (found,) = own(tmp_path, d20=[interaction(success=True), said]).interactions(0, AT + 1)
    assert (found.success, found.error, found.check) == (False, "wrong value in x", check)


def test_a_comment_alone_leaves_the_guess_of_the_gateway(tmp_path: Path):
    (found,) = own(tmp_path, d20=[interaction(success=True), feedback(comment="hm")]).interactions(0, AT + 1)
    assert found.success is True


def test_feedback_without_an_interaction_in_the_window_yields_nothing(tmp_path: Path):
    assert list(own(tmp_path, d20=[feedback(thumb=1)]).interactions(0, AT + 1)) == []


def test_the_window_includes_its_beginning_and_excludes_its_end(tmp_path: Path):
    log = own(tmp_path, d20=[interaction(letter * 24, AT + offset) for offset, letter in enumerate("abc")])
    assert [found.id[0] for found in log.interactions(AT, AT + 2)] == ["a", "b"]


def test_an_interaction_written_just_after_midnight_is_found_in_the_file_of_the_day_before(tmp_path: Path):
    log = own(tmp_path, d19=[interaction(at=AT)])
    assert len(list(log.interactions(AT, AT + 1))) == 1


def test_an_absent_folder_has_no_interactions(tmp_path: Path):
    assert list(OwnLog(tmp_path / "absent").interactions(0, AT)) == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (interaction(at="noon"), UNUSABLE),
        ({"kind": "interaction"}, UNUSABLE),
        (interaction(messages=[]), UNUSABLE),
        ({"kind": "feedback", "thumb": 1}, "feedback: KeyError: 'interaction_id'"),
        (feedback(thumb=5), "feedback: thumb: Input should be -1 or 1"),
    ],
)
def test_a_bad_line_of_our_own_log_is_counted_and_the_rest_goes_on(tmp_path: Path, bad: dict[str, Any], reason: str):
    log, problems = own(tmp_path, d20=[bad, interaction("b" * 24)]), Problems()
    assert [found.id[0] for found in log.interactions(AT, AT + DAY, problems)] == ["b"]
    assert [(each["reason"], each["count"]) for each in problems.to_json()] == [(reason, 1)]


def test_a_thumb_that_comes_weeks_later_brings_its_answer_back_into_the_window(tmp_path: Path):
    log = own(
        tmp_path, d01=[interaction(at=AT - 19 * DAY), interaction("b" * 24, at=AT - 19 * DAY)], d20=[feedback(thumb=-1)]
    )
    (found,) = log.interactions(AT - 1, AT + 1)
    assert (found.id, found.success) == ("a" * 24, False)
    assert list(log.interactions(AT + 1, AT + DAY)) == []


def test_feedback_that_came_in_parts_over_weeks_is_one(tmp_path: Path):
    log = own(
        tmp_path,
        d01=[interaction(at=AT - 19 * DAY)],
        d05=[feedback(at=AT - 15 * DAY, edited="4", comment="wrong"), feedback(at=AT - 15 * DAY, comment="so wrong")],
        d09=[feedback(at=AT - 11 * DAY, edited="four"), feedback("b" * 24, at=AT - 11 * DAY, thumb=-1)],
        d20=[feedback(thumb=-1)],
    )
    (found,) = log.interactions(AT - 1, AT + 1)
    assert found.feedback == Feedback(at=AT, edited="four", comment="so wrong", thumb=-1)


def openai(folder: Path, *records: Any) -> OpenAiJsonl:
    path = folder / "export.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    os.utime(path, (AT, AT))
    return OpenAiJsonl(path)


def read(source: Source, since: float, until: float) -> list[Interaction]:
    return [Interaction.model_validate(row) for row in source.rows(since, until, Problems())]


ANSWER = {"role": "assistant", "content": "5"}
PARTS = [{"role": "user", "content": [{"type": "text", "text": "what is "}, {"type": "text", "text": "2 + 2?"}]}]


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [*ASKED, ANSWER]},
        {"messages": [*PARTS, ANSWER]},
        {"request": {"messages": ASKED}, "response": {"choices": [{"message": ANSWER}]}},
        {"prompt": "what is 2 + 2?", "completion": "5"},
    ],
)
def test_every_shape_becomes_the_same_interaction(tmp_path: Path, record: dict[str, Any]):
    (found,) = read(openai(tmp_path, record), 0, AT + 1)
    assert (found.messages, found.answer, found.at) == (ASKED, "5", AT)
    assert found.source == "openai-jsonl:export.jsonl"
    (reference,) = read(openai(tmp_path, {"messages": [*ASKED, ANSWER]}), 0, AT + 1)
    assert found.id == reference.id


def test_the_fields_of_an_interaction_are_carried_over(tmp_path: Path):
    check = {"type": "text", "equals": "4"}
    more = {"created": AT - 5, "user": "u", "session": "s", "success": False, "error": "e", "check": check}
    (found,) = read(openai(tmp_path, {"prompt": "q", "completion": "a", **more}), AT - 5, AT)
    assert (found.user, found.session, found.success, found.error, found.check) == ("u", "s", False, "e", check)


@pytest.mark.parametrize("written", [AT - 5, round((AT - 5) * 1000), str(AT - 5), "2025-11-20T00:53:15Z"])
def test_a_time_is_understood_in_every_form(tmp_path: Path, written: Any):
    row = {"prompt": "q", "completion": "a"}
    for more in ({"at": written}, {"created": written}, {"at": None, "created": written}):
        (found,) = read(openai(tmp_path, row | more), AT - 10, AT)
        assert found.at == AT - 5


@pytest.mark.parametrize("said_at", [AT, AT * 1000])
def test_an_old_row_about_which_something_was_said_in_the_window_is_read(tmp_path: Path, said_at: float):
    row = {"prompt": "q", "completion": "a", "at": AT - 9 * DAY, "feedback": {"thumb": -1, "at": said_at}}
    (found,) = read(openai(tmp_path, row), AT, AT + 1)
    assert found.feedback == Feedback(at=AT, thumb=-1)
    assert read(openai(tmp_path, row), AT + 1, AT + DAY) == []


@pytest.mark.parametrize(("thumb", "success"), [(-1, False), (1, True)])
def test_a_bare_thumb_is_feedback(tmp_path: Path, thumb: int, success: bool):
    (found,) = read(openai(tmp_path, {"prompt": "q", "completion": "a", "thumb": thumb}), 0, AT + 1)
    assert found.feedback == Feedback(thumb=thumb)
    assert found.success is success


def test_the_same_question_of_two_users_is_two_interactions(tmp_path: Path):
    rows = [{"prompt": "q", "completion": "a", "user": user} for user in "uvu"]
    assert len({found.id for found in read(openai(tmp_path, *rows), 0, AT + 1)}) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"prompt": "q"},
        {"messages": []},
        {"messages": ASKED},
        {"messages": ["hello", "hi"]},
        {"messages": None},
        {"messages": [{"role": "user", "content": ["hello"]}, ANSWER]},
        {"messages": [ANSWER]},
        {"messages": [{"content": "q"}, ANSWER]},
        {"request": {"messages": ASKED}, "response": {"choices": []}},
        {"request": None, "response": None},
        {"prompt": "q", "completion": "a", "at": "yesterday"},
        {"prompt": "q", "completion": "a", "feedback": "good"},
    ],
)
def test_a_line_of_no_known_shape_is_counted_and_named(tmp_path: Path, bad: dict[str, Any]):
    source, problems = openai(tmp_path, bad, {"prompt": "q", "completion": "a"}), Problems()
    assert [row["answer"] for row in source.rows(0, AT + 1, problems)] == ["a"]
    (problem,) = problems.to_json()
    assert problem["reason"] == "not one of the known shapes"
    assert problem["places"][0].startswith("export.jsonl record 1")


@pytest.mark.parametrize(
    ("more", "signal"),
    [
        ({}, None),
        ({"success": True, "confidence": 0.9}, None),
        ({"success": False}, "failed"),
        ({"success": False, "confidence": 0.2}, "low_confidence"),
        ({"success": False, "error": "boom", "confidence": 0.2}, "error"),
        ({"success": False, "error": "boom", "error_kind": "server_error"}, "error"),
        ({"error": "the client went away", "error_kind": "client_gone"}, None),
        ({"error": "too long", "error_kind": "invalid_request_error"}, None),
        ({"error": "too many", "error_kind": "overloaded_error"}, None),
        ({"error": "gone", "error_kind": "client_gone", "feedback": {"thumb": -1}}, "thumbs_down"),
        ({"feedback": {"success": False}, "error": "boom"}, "check_failed"),
        ({"feedback": {"success": False, "thumb": -1}}, "check_failed"),
        ({"feedback": {"success": True, "thumb": -1}}, None),
        ({"feedback": {"success": False, "thumb": 1}}, "check_failed"),
        ({"feedback": {"thumb": 1}, "success": False, "confidence": 0.1}, None),
        ({"feedback": {"preferred": "4", "thumb": 1}}, "preferred"),
        ({"feedback": {"thumb": -1, "edited": "4"}}, "edited"),
        ({"feedback": {"thumb": 1}, "success": True}, None),
    ],
)
def test_the_strongest_signal_names_the_failure(more: dict[str, Any], signal: str | None):
    assert failure_signal(Interaction.model_validate(interaction(**more))) == signal


def failed(*sources: Source, since: float = AT, until: float = AT + 9) -> list[tuple[str, str, bool]]:
    rows = failures([(source, since) for source in sources], until, LocalExecutor(), Found())
    return [(row["id"][0], row["verdict"]["signal"], stays) for row, stays in rows]


def test_an_answer_that_was_asked_for_again_is_a_failure_unless_somebody_liked_it(tmp_path: Path):
    def again(thumb: int | None) -> list[tuple[str, str, bool]]:
        rows = [interaction(letter * 24, AT + at, session="s", answer=letter) for at, letter in enumerate("ab")]
        said = [feedback(thumb=thumb)] if thumb else []
        return failed(own(tmp_path / str(thumb), d20=rows + said))

    assert again(None) == [("a", "regenerated", True)]
    assert again(1) == []
    assert again(-1) == [("a", "thumbs_down", True)]


def test_who_asks_again_after_an_error_that_was_not_the_model_s_says_nothing_against_it(tmp_path: Path):
    refused = interaction(session="s", answer="", error="too many", error_kind="overloaded_error")
    assert failed(own(tmp_path, d20=[refused, interaction("b" * 24, AT + 1, session="s")])) == []


def test_an_error_that_feedback_tells_is_the_model_s_whatever_ended_the_answer(tmp_path: Path):
    stopped = interaction(answer="4 + ", error="the client went away", error_kind="client_gone")
    (found,) = own(tmp_path, d20=[stopped, feedback(error="does not compile")]).interactions(AT, AT + 1)
    assert (failure_signal(found), found.error) == ("error", "does not compile")


def test_of_equal_questions_the_one_with_the_strongest_signal_stays(tmp_path: Path):
    asked = [{"role": "user", "content": " WHAT is 2 +  2?"}]
    rows = [
        interaction("a" * 24, success=False),
        interaction("b" * 24, AT + 1, messages=asked, feedback={"edited": "4"}),
        interaction("c" * 24, AT + 2, feedback={"edited": "four"}),
        interaction("d" * 24, AT + 3, messages=[{"role": "user", "content": "what is 2 - 2?"}], success=False),
    ]
    assert failed(own(tmp_path, d20=rows)) == [
        ("a", "failed", False),
        ("b", "edited", True),
        ("c", "edited", False),
        ("d", "failed", True),
    ]


def test_a_source_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path):
    found, absent = Found(), OpenAiJsonl(tmp_path / "absent.jsonl")
    log = own(tmp_path, d20=[interaction(success=False)])
    rows = failures([(absent, AT), (log, AT)], AT + 1, LocalExecutor(), found)
    assert len(list(rows)) == 1
    assert list(found.unreadable) == ["openai-jsonl:absent.jsonl"]
    with pytest.raises(UnavailableError, match=r"absent\.jsonl"):
        list(failures([(absent, AT)], AT + 1, LocalExecutor(), Found()))


def test_what_was_overruled_is_counted(tmp_path: Path):
    found = Found()
    rows = [
        interaction(feedback={"success": False, "thumb": 1}),
        interaction("b" * 24, feedback={"success": True, "thumb": -1}),
    ]
    list(failures([(own(tmp_path, d20=rows), AT)], AT + 1, LocalExecutor(), found))
    assert found.to_json()["overruled"] == {"thumbs_up": 1, "thumbs_down": 1}
    assert found.to_json()["signals"] == {"check_failed": 1}
