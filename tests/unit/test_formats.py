"""What leaves as a dataset comes back as it was, through the library that most trainers read with."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.lib import formats, jsonl
from pipeline.lib.files import write_bytes
from pipeline.lib.records import Interaction, Rewrite

TRAINABLE = ("sft", "preferences", "unpaired", "alpaca", "prompt_completion")
QUESTION = [{"role": "user", "content": "2 + 2?"}]


def rewrite(number: int = 0, messages: list[dict[str, str]] | None = None, **more: Any) -> Rewrite:
    said = {"output": f"right {number}", "bad_output": f"wrong {number}", **more}
    kept = {"reasoning": "", "quality_score": 1.0, "signal": "edited", "teacher": "t", "votes": {}, "verified_by": None}
    return Rewrite(instruction="", interaction_id=f"{number:024x}", messages=messages or QUESTION, at=0, **kept, **said)


def replayed(number: int, answer: str = "good") -> Interaction:
    return Interaction(id=f"{number:024x}", source="gateway", at=0, messages=QUESTION, answer=answer)


def load(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        return list(datasets.load_dataset(*arguments, split="train", cache_dir=cache, **options))


def written(folder: Path, contents: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in contents.items():
        jsonl.write(folder / name, rows)
    manifest = {"run": "20261120T020000Z", "dropped": {"empty answer": 3}}
    write_bytes(folder / formats.CARD, formats.card(manifest, contents).encode())


@pytest.fixture
def dataset(tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    context = [{"role": "system", "content": "be brief"}, *QUESTION]
    rewrites = [rewrite(0, context), rewrite(1), rewrite(2, bad_output="right 2"), rewrite(3, bad_output="")]
    contents = {
        **formats.tables(rewrites, [replayed(4), replayed(5)]),
        "holdout.jsonl": [
            {"id": "a", "messages": QUESTION, "check": {"type": "text", "contains": "4"}},
            {"messages": QUESTION, "check": {"type": "json_schema", "schema": {"type": ["object", "null"]}}},
            {"messages": QUESTION, "check": {"type": "vm", "memory": {"x": 4}}},
        ],
        "dropped.jsonl": [{"interaction_id": "b", "instruction": "x", "reason": "empty answer"}],
        "hidden.jsonl": [],
    }
    written(tmp_path, contents)
    return contents


def test_every_table_loads_by_its_file_and_by_the_name_that_the_card_gives_it(dataset, tmp_path: Path):
    for name in (*TRAINABLE, "holdout", "dropped"):
        by_file = load("json", data_files=str(tmp_path / f"{name}.jsonl"))
        assert by_file == load(str(tmp_path), name)
        if name != "holdout":  # its rows may have different columns
            assert by_file == dataset[f"{name}.jsonl"]
    assert load(str(tmp_path)) == dataset["sft.jsonl"]  # the one that is meant when none is named
    assert [row["check"] for row in load(str(tmp_path), "holdout")] == [
        row["check"] for row in dataset["holdout.jsonl"]
    ]


def test_a_table_without_rows_is_not_offered(dataset, tmp_path: Path):
    front = (tmp_path / formats.CARD).read_text().split("---")[1]
    assert "preferences.jsonl" in front
    assert "hidden" not in front


def test_rewrites_and_good_answers_are_good_and_what_failed_is_bad(dataset):
    labels = [(row["completion"][0]["content"], row["label"]) for row in dataset["unpaired.jsonl"]]
    assert labels == [
        *((f"right {number}", True) for number in range(4)),
        *(("good", True) for _ in range(2)),
        *(("wrong 0", False), ("wrong 1", False), ("", False)),
    ]


def test_a_message_keeps_its_role_and_its_content_only():
    table = formats.tables([rewrite(0, [{**QUESTION[0], "name": "ann"}]), rewrite(1)], [])
    assert {tuple(message) for row in table["sft.jsonl"] for message in row["messages"]} == {("role", "content")}


def test_the_card_says_what_is_in_here_where_it_came_from_and_what_was_removed(dataset, tmp_path: Path):
    card = (tmp_path / formats.CARD).read_text()
    for line in (
        "| `sft` | 6 |",
        "| `unpaired` | 9 |",
        "- rewrite: 4",
        "- replay: 2",
        "- empty answer: 3",
        "license: unknown",
    ):
        assert line in card


@settings(max_examples=12)
@given(st.lists(st.tuples(st.text(min_size=1), st.text(), st.text(), st.text()), min_size=1, max_size=20))
def test_any_text_comes_back_from_every_format_as_it_was(texts: list[tuple[str, str, str, str]]):
    rewrites = [
        rewrite(number, [{"role": "system", "content": context}, {"role": "user", "content": asked}], **answers)
        for number, (asked, context, output, bad) in enumerate(texts)
        for answers in [{"output": output, "bad_output": bad}]
    ]
    contents = formats.tables(rewrites, [replayed(number, text[2]) for number, text in enumerate(texts)])
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), contents)
        for name in TRAINABLE:
            if contents[f"{name}.jsonl"]:
                assert load(folder, name) == contents[f"{name}.jsonl"]
                assert load("json", data_files=f"{folder}/{name}.jsonl") == contents[f"{name}.jsonl"]
