"""What a harvest does by itself; tests/loop has those that ask a teacher."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.build_dataset import build_dataset
from pipeline.harvest import harvest
from pipeline.lib import exclusions, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, NothingToDo

NOW = 1_763_640_000.0  # 2025-11-20 12:00 UTC
DAY = 24 * 3600.0
RUN = "20251120T120000Z"


def said(number: int, at: float = NOW - 60, **feedback: Any) -> list[dict[str, Any]]:
    identity = f"{number:024x}"
    asked = [{"role": "user", "content": f"question number {number}"}]
    row = {"kind": "interaction", "id": identity, "source": "gateway", "at": at, "messages": asked, "answer": "hm"}
    return [row, {"kind": "feedback", "interaction_id": identity, "at": at, **feedback}]


def log(home: Path, *records: dict[str, Any]) -> None:
    for record in records:
        day = time.strftime("%Y-%m-%d", time.gmtime(record["at"]))
        jsonl.append(home / "logs" / "interactions" / f"{day}.jsonl", [record])


def rewrites(home: Path) -> dict[str, str]:
    rows = [row for path in home.glob("training_data/harvest_????????.jsonl") for row in jsonl.read(path)]
    return {row["instruction"]: row["output"] for row in rows}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, dataset={"min_failures_to_train": 1})


def test_what_people_wrote_needs_no_teacher(settings: Settings):
    log(settings.home, *said(1, edited="better"), *said(2, thumb=-1), *said(3, thumb=1))
    result = harvest(settings, None, NOW, dry_run=False)
    assert rewrites(settings.home) == {"question number 1": "better"}
    assert (result["teacher"], result["rewrites"], result["unsolved"]) == ("nobody", 1, 1)
    with pytest.raises(NothingToDo, match="decided already"):
        harvest(settings, None, NOW, dry_run=False)


def test_an_answer_that_was_kept_is_a_rewrite_and_says_so(settings: Settings):
    log(settings.home, *said(1, preferred="the other one"))
    harvest(settings, None, NOW, dry_run=False)
    (row,) = [row for path in settings.home.glob("training_data/harvest_????????.jsonl") for row in jsonl.read(path)]
    assert (row["output"], row["signal"], row["quality_score"]) == ("the other one", "preferred", 0.8)


def test_a_later_word_is_heard_and_the_latest_counts(settings: Settings):
    log(settings.home, *said(1, thumb=-1))
    harvest(settings, None, NOW, dry_run=False)
    assert rewrites(settings.home) == {}
    for hours, text in ((1, "better"), (2, "even better")):
        log(settings.home, {**said(1, edited=text)[1], "at": NOW + 3600 * hours})
        harvest(settings, None, NOW + 3600 * hours + 1, dry_run=False)
    assert rewrites(settings.home) == {"question number 1": "even better"}
    build_dataset(settings, RUN, dry_run=False)
    (row,) = jsonl.read(settings.layout.dataset(RUN) / "sft.jsonl")
    assert row["messages"][-1]["content"] == "even better"


def test_a_source_is_read_from_its_beginning_and_then_from_where_the_last_harvest_ended(settings: Settings):
    log(settings.home, *said(1, NOW - 90 * DAY, edited="old"))
    assert harvest(settings, None, NOW, dry_run=False)["rows"] == {"gateway": 1}
    log(settings.home, *said(2, NOW + DAY, edited="while the machine was off"), *said(3, NOW + 4 * DAY, edited="new"))
    later = harvest(settings, None, NOW + 5 * DAY, dry_run=False)
    assert later["rows"] == {"gateway": 2}
    assert len(rewrites(settings.home)) == 3


def exported(home: Path, folder: str, *answers: str) -> str:
    """An export of ninety days ago, in a file that has the same name in every folder."""
    path = home / folder / "export.jsonl"
    rows = [
        {"prompt": f"what is {text}?", "completion": "hm", "at": NOW - 90 * DAY, "feedback": {"edited": text}}
        for text in answers
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    jsonl.append(path, rows)
    return f"{folder}/export.jsonl"


def reading(settings: Settings, *exports: str) -> Settings:
    return settings.model_copy(update={"harvest": settings.harvest.model_copy(update={"openai_jsonl": [*exports]})})


def test_two_files_of_the_same_name_are_two_sources(settings: Settings):
    first, second, third = (exported(settings.home, folder, folder) for folder in "abc")
    harvest(reading(settings, first), None, NOW, dry_run=False)
    both = harvest(reading(settings, first, second), None, NOW + DAY, dry_run=False)
    places = [f"openai-jsonl:{settings.home / each}" for each in (first, second)]
    assert both["rows"] == {"gateway": 0, **dict(zip(places, (0, 1), strict=True))}
    instead = harvest(reading(settings, third), None, NOW + 2 * DAY, dry_run=False)
    assert instead["rows"] == {"gateway": 0, "openai-jsonl:export.jsonl": 1}
    assert sorted(rewrites(settings.home).values()) == ["a", "b", "c"]


def test_where_an_earlier_version_has_stopped_reading_a_source_counts(settings: Settings):
    only = reading(settings, exported(settings.home, "a", "a"))
    harvest(only, None, NOW, dry_run=False)
    (path,) = settings.home.glob("training_data/harvest_????????.json")
    manifest = json.loads(path.read_text())
    del manifest["places"]
    path.write_text(json.dumps(manifest))
    exported(settings.home, "a", "too old")
    assert harvest(only, None, NOW + DAY, dry_run=True)["rows"] == {"gateway": 0, "openai-jsonl:export.jsonl": 0}


def test_a_second_harvest_of_a_day_forgets_nothing_that_the_first_one_found(settings: Settings):
    log(settings.home, *said(1, NOW - 90 * DAY, edited="old"))
    harvest(settings, None, NOW, dry_run=False)
    log(settings.home, *said(2, edited="new"))
    harvest(settings, None, NOW + 60, dry_run=False)
    found = [row["id"][-1] for row in jsonl.read(settings.home / "training_data" / "failures_20251120.jsonl")]
    assert found == ["2", "1"]
    with pytest.raises(NothingToDo, match="decided already"):
        harvest(settings, None, NOW + 120, dry_run=False)


def test_secrets_reach_neither_teacher_nor_trainer(settings: Settings):
    row, feedback = said(1, edited="Write to joe@shop-of-joe.de.")
    row["messages"][0]["content"] = "Who is joe@shop-of-joe.de? My password: hunter2hunter2"
    log(settings.home, row, feedback)
    result = harvest(settings, None, NOW, dry_run=False)
    build_dataset(settings, RUN, dry_run=False)
    assert result["removed"] == {"EMAIL": 2, "SECRET": 1}
    for path in settings.home.rglob("training_data/**/*"):
        assert path.is_dir() or b"shop-of-joe" not in path.read_bytes(), path
    assert rewrites(settings.home) == {"Who is <EMAIL_1>? My password: <SECRET_1>": "Write to <EMAIL_1>."}


def test_who_is_excluded_costs_no_teacher_and_leaves_the_reason(settings: Settings):
    row, feedback = said(1, edited="x")
    log(settings.home, row | {"user": "anna"}, feedback, *said(2, edited="y"))
    exclusions.record(settings.layout, "quarantine", "anna", None, "odd")
    assert harvest(settings, None, NOW, dry_run=False)["left_out"] == {"in quarantine: odd": 1}
    assert rewrites(settings.home) == {"question number 2": "y"}


def test_who_is_excluded_after_a_harvest_has_found_them_costs_no_teacher_either(settings: Settings):
    row, feedback = said(1, edited="x")
    log(settings.home, row | {"user": "anna"}, feedback)
    harvest(settings, None, NOW, dry_run=False)
    log(settings.home, {**feedback, "at": NOW + 1, "edited": "y"})
    exclusions.record(settings.layout, "revoke", "anna", None, "asked for")
    with pytest.raises(NothingToDo):
        harvest(settings, None, NOW + 2, dry_run=False)
    assert rewrites(settings.home) == {"question number 1": "x"}
    with pytest.raises(NothingToDo, match="0 new rewrites"):
        build_dataset(settings, RUN, dry_run=False)


@pytest.mark.parametrize("group", ["session", "user"])
def test_a_conversation_or_a_person_is_held_out_as_a_whole_before_anything_is_rewritten(tmp_path: Path, group: str):
    now = time.time()
    settings = Settings(home=tmp_path, dataset={"hidden_share": 0.5, "hidden_by": group})
    for number in range(60):
        row, feedback = said(number, now - 60, edited="x", check={"type": "text", "equals": "x"})
        log(tmp_path, row | {group: f"s{number // 3}"}, feedback)
    result = harvest(settings, None, now, dry_run=False)
    left = {int(text.split()[-1]) // 3 for text in rewrites(tmp_path)}
    held_out = result["left_out"]["held out this week, for the canary"]
    assert held_out + len(rewrites(tmp_path)) == 60
    assert held_out == 3 * (20 - len(left))
    assert 0 < len(left) < 20


def test_a_source_that_is_not_there_is_named_and_the_rest_goes_on(settings: Settings):
    log(settings.home, *said(1, edited="better"))
    more = settings.model_copy(update={"harvest": settings.harvest.model_copy(update={"sources": ["llm:absent.db"]})})
    result = harvest(more, None, NOW, dry_run=False)
    assert list(result["unreadable"]) == ["llm:absent.db"]
    assert len(rewrites(settings.home)) == 1
    wrong = settings.model_copy(update={"harvest": settings.harvest.model_copy(update={"sources": ["lm"]})})
    with pytest.raises(ConfigurationError, match="no source of the kind 'lm'"):
        harvest(wrong, None, NOW, dry_run=False)


def test_a_dry_run_counts_by_what_would_become_of_them_and_writes_nothing(settings: Settings):
    log(settings.home, *said(1, edited="a"), *said(1, NOW - 30, edited="a"))
    before = sorted(settings.home.rglob("*"))
    result = harvest(settings, None, NOW, dry_run=True)
    assert result["failures"] == 1
    assert json.dumps(result)
    assert sorted(settings.home.rglob("*")) == before
