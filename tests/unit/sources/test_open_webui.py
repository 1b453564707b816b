import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from foreign import AT, DAY, SAMPLES, WebUi, chat_history, read, reply

from pipeline.backends.sources.open_webui import OpenWebUi
from pipeline.lib.records import content_id

CHAT = "0e8d931c-c3f1-42e6-b8dd-a548064e1047"
QUESTION = {"role": "user", "parentId": None, "content": "capital of France?", "timestamp": int(AT)}


def test_the_real_sample_gives_a_disliked_answer_that_was_replaced_and_an_edited_one():
    rows, _ = read(OpenWebUi(SAMPLES / "openwebui_0.12.4_webui.db"))
    common = {
        "source": "open-webui:openwebui_0.12.4_webui.db",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "answer": "echo: What is the capital of France?",
        "success": False,
        "user": "ea61efa4-295a-4dde-962e-a34e54ef3f27",
        "session": CHAT,
        "model": "fake-7b",
        "tokens": 7,
    }
    disliked = {
        "thumb": -1,
        "comment": "not_factually_correct: It should simply say Paris",
        "preferred": "The capital of France is Paris, of course.",
        "at": 1795174530.0,
    }
    edited = {"thumb": 1, "edited": "The capital of France is Paris, of course.", "at": 1795174530.0}
    first, second = "014c70a3-e4d7-4bcb-849a-17e76dbab18f", "d1dbdda4-00ed-4ae0-8e9b-9ee356565d25"
    assert rows == [
        {**common, "id": content_id("open-webui", f"{CHAT}/{first}"), "at": 1795174107.0, "feedback": disliked},
        {**common, "id": content_id("open-webui", f"{CHAT}/{second}"), "at": 1795174288.0, "feedback": edited},
    ]


def test_without_the_copy_the_edit_that_was_saved_in_place_is_found_with_its_time(tmp_path: Path):
    path = tmp_path / "webui.db"
    path.write_bytes((SAMPLES / "openwebui_0.12.4_webui.db").read_bytes())
    with sqlite3.connect(path) as database:
        chat = json.loads(database.execute("SELECT chat FROM chat").fetchone()[0])
        copy = chat["history"]["currentId"]
        del chat["history"]["messages"][copy]
        chat["history"]["currentId"] = "d1dbdda4-00ed-4ae0-8e9b-9ee356565d25"
        database.execute("UPDATE chat SET chat = ?", (json.dumps(chat),))
    database.close()
    second = read(OpenWebUi(path))[0][1]
    assert second["answer"] == "echo: What is the capital of France?"
    assert second["feedback"] == {"thumb": 1, "edited": "The capital of France is Paris.", "at": 1795174519.0}


def made(folder: Path, current: str, *ratings: dict[str, Any], **messages: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of one chat by their answer."""
    database = WebUi(folder / "webui.db")
    history = chat_history(current, q=QUESTION, **messages)
    database.chat("c", history, AT + 500)
    for rating in ratings:
        database.rate("c", **rating)
    rows, problems = read(database.done())
    assert problems.count == 0
    return {row["answer"]: row for row in rows}


def said(rows: dict[str, dict[str, Any]], answer: str) -> dict[str, Any]:
    return {key: value for key, value in rows[answer].get("feedback", {}).items() if key != "at"}


def test_the_answer_on_the_branch_that_is_shown_is_preferred_to_its_siblings(tmp_path: Path):
    rows = made(tmp_path, "b", a=reply("q", AT, "Lyon"), b=reply("q", AT + 9, "Paris"))
    assert rows["Lyon"]["feedback"] == {"preferred": "Paris", "at": AT + 9}
    assert "feedback" not in rows["Paris"]


def test_a_branch_that_went_on_is_kept_however_long_it_is(tmp_path: Path):
    again = {"role": "user", "parentId": "a", "content": "sure?", "timestamp": int(AT + 50)}
    answers = {"a": reply("q", AT, "Lyon"), "b": reply("q", AT + 9, "Paris"), "r": again}
    rows = made(tmp_path, "z", **answers, z=reply("r", AT + 60, "yes"))
    assert rows["Paris"]["feedback"] == {"preferred": "Lyon", "at": AT + 50}
    assert [each["content"] for each in rows["yes"]["messages"]] == ["capital of France?", "Lyon", "sure?"]


@pytest.mark.parametrize(
    ("rated", "expected"),
    [
        ({"message": "a", "rating": 1}, {"thumb": 1}),
        ({"message": "b", "rating": -1}, {}),
        ({"message": "b", "rating": 1}, {"preferred": "Paris"}),
        ({"message": "a", "rating": -1}, {"thumb": -1, "preferred": "Paris"}),
    ],
)
def test_an_answer_that_was_liked_or_replaced_by_a_bad_one_was_not_left_behind(
    tmp_path: Path, rated: dict[str, Any], expected: dict[str, Any]
):
    answers = {"a": reply("q", AT, "Lyon"), "b": reply("q", AT + 9, "Paris")}
    assert said(made(tmp_path, "b", {**rated, "at": AT + 20}, **answers), "Lyon") == expected


def test_of_several_models_side_by_side_one_is_preferred_only_when_somebody_chose_it(tmp_path: Path):
    answers = {"a": reply("q", AT, "Lyon", modelIdx=0), "b": reply("q", AT, "Paris", modelIdx=1)}
    for name, rating, expected in (("x", (), {}), ("y", ({"message": "b", "at": AT, "rating": 1},), "Paris")):
        (tmp_path / name).mkdir()
        rows = made(tmp_path / name, "b", *rating, **answers)
        assert said(rows, "Lyon") == ({"preferred": expected} if expected else {})


def test_a_failed_answer_is_an_error_and_never_preferred(tmp_path: Path):
    failed = reply("q", AT + 9, "", error={"content": "server error"})
    rows = made(tmp_path, "b", a=reply("q", AT, "Lyon"), b=failed)
    assert (rows[""]["error"], rows[""]["success"]) == ("server error", False)
    assert "feedback" not in rows["Lyon"]


def test_an_answer_that_is_still_being_written_waits(tmp_path: Path):
    assert list(made(tmp_path, "b", a=reply("q", AT, "Lyon"), b=reply("q", AT, "Par", done=False))) == ["Lyon"]


@pytest.mark.parametrize(
    ("data", "thumb", "comment"),
    [
        ({"rating": 1, "reason": "thorough_explanation", "comment": None}, 1, "thorough_explanation"),
        ({"rating": -1, "reason": None, "comment": "no"}, -1, "no"),
        ({"rating": None, "details": {"rating": 9}}, 1, None),
        ({"rating": None, "details": {"rating": 2}}, -1, None),
        ({"rating": None, "details": {"rating": 5}}, None, None),
    ],
)
def test_thumb_reason_comment_and_the_rating_of_ten_are_read(
    tmp_path: Path, data: dict[str, Any], thumb: int | None, comment: str | None
):
    rows = made(tmp_path, "a", {"message": "a", "at": AT + 5, **data}, a=reply("q", AT, "Paris"))
    expected = {"thumb": thumb, "comment": comment}
    assert said(rows, "Paris") == {key: value for key, value in expected.items() if value}


def test_the_last_rating_of_an_answer_counts(tmp_path: Path):
    ratings = [{"message": "a", "at": AT + at, "rating": rating} for at, rating in ((9, 1), (5, -1))]
    rows = made(tmp_path, "a", *ratings, a=reply("q", AT, "Paris"))
    assert rows["Paris"]["feedback"] == {"thumb": 1, "at": AT + 9}


def test_a_mark_on_the_message_counts_where_there_are_no_ratings(tmp_path: Path):
    marked = reply("q", AT, "Paris", annotation={"rating": -1, "reason": "too_verbose"})
    rows = made(tmp_path, "a", a=marked)
    assert rows["Paris"]["feedback"] == {"thumb": -1, "comment": "too_verbose", "at": AT + 500}


@pytest.mark.parametrize(("usage", "edited"), [({"n": 1}, "Paris"), ({"n": 2}, None)])
def test_an_edit_is_told_from_a_model_that_went_on_writing_by_its_usage(
    tmp_path: Path, usage: dict[str, int], edited: str | None
):
    picture = chat_history("a", q=QUESTION, a=reply("q", AT, "Par", usage={"n": 1}))
    rating = {"message": "a", "at": AT + 5, "snapshot": picture, "rating": -1}
    rows = made(tmp_path, "a", rating, a=reply("q", AT, "Paris", usage=usage))
    answer = "Par" if edited else "Paris"
    assert said(rows, answer) == {"thumb": -1} | ({"edited": edited} if edited else {})


def test_the_content_before_an_edit_is_the_answer_where_a_version_kept_it(tmp_path: Path):
    rows = made(tmp_path, "a", a=reply("q", AT, "Paris", originalContent="Lyon"))
    assert rows["Lyon"]["feedback"] == {"edited": "Paris", "at": AT + 500}


def test_what_the_model_only_thought_is_no_part_of_its_answer(tmp_path: Path):
    content = '<details type="reasoning" done="true">\n<summary>Thought</summary>\nhm\n</details>\nParis'
    assert list(made(tmp_path, "a", a=reply("q", AT, content))) == ["Paris"]


def test_the_system_prompt_of_the_chat_comes_first(tmp_path: Path):
    database = WebUi(tmp_path / "webui.db")
    history = chat_history("a", q=QUESTION, a=reply("q", AT, "Paris"))
    database.chat("c", {**history, "params": {"system": "be brief"}}, AT)
    assert read(database.done())[0][0]["messages"][0] == {"role": "system", "content": "be brief"}


def test_a_shared_copy_is_left_out_and_a_clone_gives_only_what_is_new_in_it(tmp_path: Path):
    database = WebUi(tmp_path / "webui.db")
    history = chat_history("a", q=QUESTION, a=reply("q", AT, "Paris"))
    again = {"role": "user", "parentId": "a", "content": "sure?", "timestamp": int(AT + 5)}
    longer = chat_history("b", q=QUESTION, a=reply("q", AT, "Paris"), r=again, b=reply("r", AT + 6, "yes"))
    database.chat("c", history, AT)
    database.chat("clone", {**longer, "originalChatId": "c"}, AT)
    database.chat("clone of a deleted chat", {**history, "originalChatId": "gone"}, AT)
    database.chat("shared", history, AT)
    database.database.execute("UPDATE chat SET user_id = 'shared-c' WHERE id = 'shared'")
    found = [(row["session"], row["answer"]) for row in read(database.done())[0]]
    assert found == [("c", "Paris"), ("clone", "yes"), ("clone of a deleted chat", "Paris")]


def test_an_old_version_with_a_plain_list_of_messages_is_read(tmp_path: Path):
    database = WebUi(tmp_path / "webui.db")
    database.database.execute("DROP TABLE feedback")
    database.chat("c", {"messages": [QUESTION, {"role": "assistant", "content": "Paris", "timestamp": AT}]}, AT)
    ((row,), _) = read(database.done())
    assert (row["answer"], row["messages"]) == ("Paris", [{"role": "user", "content": "capital of France?"}])


def test_the_mirror_table_stands_in_for_an_empty_history(tmp_path: Path):
    path = tmp_path / "webui.db"
    path.write_bytes((SAMPLES / "openwebui_0.12.4_webui.db").read_bytes())
    whole, _ = read(OpenWebUi(path))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE chat SET chat = '{}'")
    database.close()
    rows, problems = read(OpenWebUi(path))
    assert {row["id"] for row in whole} < {row["id"] for row in rows}
    assert problems.count == 0


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ("{oops", "the chat is not JSON"),
        ("[]", "the chat is no JSON object"),
        ('{"history": {"messages": {"a": {"role": "assistant", "content": "x"}}}}', "no time: None"),
        (json.dumps(chat_history("a", a=reply("gone", AT, "x"))), "a message that is not there"),
        (json.dumps(chat_history("a", a={**reply("q", AT, "x"), "parentId": None})), "nothing was asked"),
        ('{"history": {"messages": {"a": {"role": "assistant", "content": 5, "timestamp": 5}}}}', "no text: int"),
        ('{"x": "' + "x" * 17_000_000 + '"}', "the chat has more than 16 MB"),
    ],
)
def test_a_damaged_chat_is_named_and_the_others_go_on(tmp_path: Path, history: str, reason: str):
    database = WebUi(tmp_path / "webui.db")
    database.chat("bad", history, AT)
    database.chat("good", chat_history("a", q=QUESTION, a=reply("q", AT, "Paris")), AT)
    rows, problems = read(database.done())
    assert [row["answer"] for row in rows] == ["Paris"]
    (problem,) = problems.to_json()
    assert (problem["reason"], problem["count"]) == (reason, 1)
    assert "chat bad" in problem["places"][0]


@pytest.mark.parametrize(
    ("column", "reason"), [("data", "a rating is not JSON"), ("snapshot", "a snapshot is not JSON")]
)
def test_a_damaged_rating_is_named_and_its_answer_stays(tmp_path: Path, column: str, reason: str):
    database = WebUi(tmp_path / "webui.db")
    database.chat("c", chat_history("a", q=QUESTION, a=reply("q", AT, "Paris")), AT)
    database.rate("c", "a", AT, rating=-1)
    database.database.execute(f"UPDATE feedback SET {column} = '{{'")
    ((row,), problems) = read(database.done())
    assert row["answer"] == "Paris"
    assert [each["reason"] for each in problems.to_json()] == [reason]


def test_a_chat_that_was_not_touched_since_the_window_is_not_even_parsed(tmp_path: Path):
    database = WebUi(tmp_path / "webui.db")
    database.chat("bad", "{oops", AT)
    assert read(database.done(), AT + 2 * DAY)[1].count == 0


def test_where_open_webui_keeps_its_data(tmp_path: Path):
    places = OpenWebUi.standard_places({"DATA_DIR": "/data"}, tmp_path)
    assert places[0] == Path("/data/webui.db")
    assert tmp_path / ".open-webui" / "webui.db" in places
