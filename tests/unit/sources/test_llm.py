import sqlite3
from pathlib import Path

import pytest
from foreign import AT, DAY, SAMPLES, LlmDatabase, read

from pipeline.backends.sources.llm_log import LlmLog
from pipeline.lib.records import content_id


def test_the_new_schema_gives_the_chain_of_messages_and_the_cost_of_a_turn():
    (first, second), _ = read(LlmLog(SAMPLES / "llm_0.36_logs.db"))
    assert first == {
        "id": content_id("llm", "01m7was8a8qgj8mcqp3bg2n7bz"),
        "source": "llm:llm_0.36_logs.db",
        "at": 1795173425.480891,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "What is 2+2?"}],
        "answer": "echo: What is 2+2?",
        "session": "01m7was89zxg17epz43trp272d",
        "model": "fake-7b",
        "latency_ms": 165,
        "tokens": 7,
    }
    assert second["messages"] == [
        *first["messages"],
        {"role": "assistant", "content": "echo: What is 2+2?"},
        {"role": "user", "content": "and 3+3?"},
    ]
    assert second["session"] == first["session"]


def test_the_old_schema_gives_the_conversation_so_far():
    (first, second), _ = read(LlmLog(SAMPLES / "llm_0.31_logs.db"))
    assert (first["at"], first["messages"]) == (1795176521.295517, [{"role": "user", "content": "old q"}])
    assert [each["content"] for each in second["messages"]] == ["old q", "echo: old q", "old follow"]
    assert (second["answer"], second["latency_ms"], second["tokens"]) == ("echo: old follow", 327, 7)


def test_an_upgraded_database_gives_the_rows_of_both_schemas(tmp_path: Path):
    path = tmp_path / "logs.db"
    path.write_bytes((SAMPLES / "llm_0.36_logs.db").read_bytes())
    with sqlite3.connect(path) as database:
        database.execute("ATTACH ? AS old", (str(SAMPLES / "llm_0.31_logs.db"),))
        names = "id, model, prompt, system, response, conversation_id, duration_ms, datetime_utc, output_tokens"
        database.execute(f"INSERT INTO responses ({names}) SELECT {names} FROM old.responses")
    database.close()
    rows, problems = read(LlmLog(path))
    assert [row["answer"] for row in rows] == [
        "echo: What is 2+2?",
        "echo: and 3+3?",
        "echo: old q",
        "echo: old follow",
    ]
    assert problems.count == 0


def two_answers(path: Path) -> LlmDatabase:
    log = LlmDatabase(path)
    log.message("q", None, "user", "2 + 2?")
    for number, text in enumerate(("5", "4")):
        log.message(f"a{number}", "q", "assistant", text)
        log.turn(f"turn-{number}", "t", "q", f"a{number}", AT + number)
    return log


def test_the_answer_on_the_way_to_the_tip_was_kept_and_the_other_names_it(tmp_path: Path):
    abandoned, kept = read(two_answers(tmp_path / "logs.db").done())[0]
    assert abandoned["answer"] == "5"
    assert abandoned["feedback"] == {"preferred": "4", "at": AT + 1}
    assert abandoned["success"] is False
    assert "feedback" not in kept


def test_a_person_who_went_back_to_the_first_answer_kept_that_one(tmp_path: Path):
    log = two_answers(tmp_path / "logs.db")
    log.message("again", "a0", "user", "sure?")
    log.message("sure", "again", "assistant", "yes")
    log.turn("turn-2", "t", "again", "sure", AT + DAY)
    rows = read(log.done())[0]
    assert [(row["answer"], row.get("feedback", {}).get("preferred")) for row in rows] == [
        ("5", None),
        ("4", "5"),
        ("yes", None),
    ]


def test_the_same_question_in_two_threads_is_no_regeneration(tmp_path: Path):
    log = LlmDatabase(tmp_path / "logs.db")
    log.message("q", None, "user", "2 + 2?")
    for number, text in enumerate(("5", "4")):
        log.message(f"a{number}", "q", "assistant", text)
        log.turn(f"turn-{number}", f"t{number}", "q", f"a{number}", AT + number)
    assert all("feedback" not in row for row in read(log.done())[0])


def test_where_the_tip_says_nothing_nothing_is_preferred(tmp_path: Path):
    log = two_answers(tmp_path / "logs.db")
    log.database.execute("UPDATE threads SET tip_message_hash = 'q'")
    assert all("feedback" not in row for row in read(log.done())[0])


def test_a_turn_that_calls_a_tool_is_part_of_what_the_next_was_asked(tmp_path: Path):
    log = LlmDatabase(tmp_path / "logs.db")
    log.message("s", None, "system", "be brief")
    log.message("q", "s", "user", "2 + 2?")
    log.message("c", "q", "assistant", None, type="tool_call", tool_name="add", payload='{"arguments": {"a": 2}}')
    log.turn("turn-0", "t", "q", "c", AT)
    log.message("r", "c", "tool", None, type="tool_result", tool_name="add", payload='{"output": "4"}')
    log.message("a", "r", "assistant", "It is 4.")
    log.turn("turn-1", "t", "r", "a", AT + 1)
    ((row,), problems) = read(log.done())
    assert row["answer"] == "It is 4."
    assert row["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": '[{"name":"add","arguments":{"a":2}}]'},
        {"role": "tool", "content": "4"},
    ]
    assert problems.count == 0


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE turns SET datetime_utc = 'noon' WHERE id = 'turn-0'", "no time: 'noon'"),
        ("UPDATE turns SET parent_message_hash = 'gone' WHERE id = 'turn-0'", "a message that is not there"),
        ("UPDATE turns SET tip_message_hash = NULL WHERE id = 'turn-0'", "a turn without an answer"),
        ("UPDATE parts SET text = CAST(x'FF' AS TEXT) WHERE message_hash = 'a0'", "not UTF-8"),
        ("UPDATE parts SET text = NULL, payload = '{' WHERE message_hash = 'a0'", "not in a shape that is known"),
        ("UPDATE parts SET text = NULL, payload = '17' WHERE message_hash = 'a0'", "not in a shape that is known"),
    ],
)
def test_a_damaged_turn_is_named_and_the_rest_goes_on(tmp_path: Path, statement: str, reason: str):
    log = two_answers(tmp_path / "logs.db")
    log.database.execute(statement)
    rows, problems = read(log.done())
    assert [row["answer"] for row in rows] == ["4"]
    assert problems.to_json() == [{"reason": reason, "count": 1, "places": ["logs.db turn turn-0"]}]


def test_messages_in_a_circle_are_named(tmp_path: Path):
    log = two_answers(tmp_path / "logs.db")
    log.database.execute("UPDATE messages SET parent_hash = 'a0' WHERE hash = 'q'")
    rows, problems = read(log.done())
    assert [row["answer"] for row in rows] == []
    assert problems.to_json()[0]["reason"] == "messages that go in a circle"


def test_where_llm_keeps_its_log(tmp_path: Path):
    assert LlmLog.standard_places({"LLM_USER_PATH": "/data/llm"}, tmp_path) == [Path("/data/llm/logs.db")]
    usual = tmp_path / ".config" / "io.datasette.llm" / "logs.db"
    assert usual in LlmLog.standard_places({}, tmp_path)
