import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.build_dataset import build_dataset
from pipeline.lib import generations, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, NothingToDo
from pipeline.lib.files import point, read_json, sha256, write_json
from pipeline.lib.trained_answers import answer_hash

RUN, EARLIER = "20261120T020000Z", "20261119T020000Z"
TABLES = {
    "sft.jsonl",
    "preferences.jsonl",
    "unpaired.jsonl",
    "alpaca.jsonl",
    "prompt_completion.jsonl",
    "holdout.jsonl",
    "dropped.jsonl",
    "hidden.jsonl",
    "provenance.jsonl",
}
AT = 1_763_600_000.0


def question(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def rewrite(number: int, text: str | None = None, **more: Any) -> dict[str, Any]:
    text = text or f"x = {number} + 1"
    record = {
        "instruction": text,
        "output": f"right {number}",
        "reasoning": "",
        "quality_score": 0.9,
        "interaction_id": f"{number:024x}",
        "messages": question(text),
        "bad_output": f"wrong {number}",
        "signal": "check_failed",
        "teacher": "starter@base",
        "votes": {"cast": 4},
        "verified_by": "vm",
        "at": AT,
    }
    return record | more


def harvested(home: Path, *records: dict[str, Any], day: str = "20261120") -> None:
    jsonl.append(home / "training_data" / f"harvest_{day}.jsonl", records)


def good_answer(number: int, text: str, **said: Any) -> list[dict[str, Any]]:
    identity = f"{number:024x}"
    asked = {"id": identity, "source": "gateway", "at": AT, "messages": question(text), "answer": f"good {number}"}
    told = {"kind": "feedback", "interaction_id": identity, "at": AT, **said}
    return [{"kind": "interaction", **asked}, *([told] if said else [])]


def logged(home: Path, *records: dict[str, Any]) -> None:
    jsonl.append(home / "logs" / "interactions" / "2025-11-20.jsonl", records)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    holdout = [{"messages": question(f"hold {number}"), "check": {"type": "vm"}} for number in range(3)]
    jsonl.write(tmp_path / "models" / "starter" / "holdout.jsonl", holdout)
    # What these tests count with, whatever the defaults are.
    chosen = {"min_failures_to_train": 5, "replay": 0.5}
    return Settings(home=tmp_path, dataset=chosen, harvest={"quality_threshold": 0.7})


def table(settings: Settings, name: str) -> list[dict[str, Any]]:
    return list(jsonl.read(settings.layout.dataset(RUN) / name))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_holdout_and_canary_questions_are_never_trained_on_and_say_why(settings: Settings):
    canary = "What must it know?"
    check = {"type": "text", "contains": "this"}
    task = {"id": "own", "messages": [{"role": "user", "content": canary}], "check": check}
    jsonl.write(settings.home / "canary.jsonl", [task])
    harvested(settings.home, *(rewrite(number) for number in range(5)))
    harvested(settings.home, rewrite(10, "HOLD   1"), rewrite(11, canary.upper()))
    logged(settings.home, *good_answer(12, "hold 2", success=True), *good_answer(13, f" {canary} ", thumb=1))
    result = build_dataset(settings, RUN, dry_run=False)
    asked = {row["messages"][0]["content"].casefold() for row in table(settings, "sft.jsonl")}
    assert asked == {f"x = {number} + 1" for number in range(5)}
    assert [(row["instruction"], row["reason"]) for row in table(settings, "dropped.jsonl")] == [
        ("HOLD   1", "stands in the hold-out or among the canary tasks"),
        (canary.upper(), "stands in the hold-out or among the canary tasks"),
    ]
    assert result["dropped"] == {"stands in the hold-out or among the canary tasks": 2}
    assert len(table(settings, "holdout.jsonl")) == 3


def test_fewer_than_five_new_rewrites_are_nothing_to_do_and_nothing_is_written(settings: Settings):
    harvested(settings.home, *(rewrite(number) for number in range(4)))
    before = everything(settings.home)
    with pytest.raises(NothingToDo, match="4 new rewrites, 5 needed; they are kept"):
        build_dataset(settings, RUN, dry_run=False)
    assert everything(settings.home) == before


def test_a_dry_run_counts_and_writes_nothing(settings: Settings):
    harvested(settings.home, *(rewrite(number) for number in range(6)))
    before = everything(settings.home)
    result = build_dataset(settings, RUN, dry_run=True)
    assert (result["dry_run"], result["new"], result["rows"]) == (True, 6, 6)
    assert everything(settings.home) == before


def test_all_formats_hold_the_same_rows_and_the_manifest_their_hashes(settings: Settings):
    context = [{"role": "system", "content": "be brief"}, *question("x = 0 + 1")]
    harvested(settings.home, rewrite(0, messages=context), *(rewrite(number) for number in range(1, 6)))
    build_dataset(settings, RUN, dry_run=False)
    folder = settings.layout.dataset(RUN)
    assert {path.name for path in folder.iterdir()} == TABLES | {"README.md", "dataset.json"}
    assert read_json(folder / "dataset.json")["sha256"] == {
        name: sha256(folder / name) for name in TABLES | {"README.md"}
    }
    identity = f"{0:024x}"
    answer = {"role": "assistant", "content": "right 0"}
    assert table(settings, "sft.jsonl")[0] == {
        "messages": [*context, answer],
        "interaction_id": identity,
        "origin": "rewrite",
    }
    assert table(settings, "preferences.jsonl")[0] == {
        "prompt": context,
        "chosen": [answer],
        "rejected": [{"role": "assistant", "content": "wrong 0"}],
        "interaction_id": identity,
    }
    assert table(settings, "alpaca.jsonl")[0] == {
        "instruction": "x = 0 + 1",
        "input": "system: be brief",
        "output": "right 0",
        "interaction_id": identity,
    }
    assert table(settings, "prompt_completion.jsonl")[0] == {
        "prompt": context,
        "completion": [answer],
        "interaction_id": identity,
    }
    assert table(settings, "unpaired.jsonl")[0] == {
        "prompt": context,
        "completion": [answer],
        "label": True,
        "interaction_id": identity,
    }
    rows = {name: len(table(settings, name)) for name in TABLES - {"holdout.jsonl", "dropped.jsonl", "hidden.jsonl"}}
    assert rows.pop("unpaired.jsonl") == 12
    assert set(rows.values()) == {6}


def test_weak_empty_and_superseded_rewrites_are_dropped_each_with_its_reason(settings: Settings):
    harvested(settings.home, *(rewrite(number) for number in range(5)), day="20261119")
    harvested(settings.home, rewrite(20, quality_score=0.5), rewrite(21, output="  "), rewrite(22, "X =  1 + 1"))
    build_dataset(settings, RUN, dry_run=False)
    assert {row["interaction_id"][-2:]: row["reason"] for row in table(settings, "dropped.jsonl")} == {
        "14": "quality under the threshold",
        "15": "empty answer",
        "01": "the same question has a later rewrite",
    }
    assert {row["interaction_id"][-2:] for row in table(settings, "sft.jsonl")} == {"00", "16", "02", "03", "04"}


def test_an_answer_that_did_not_change_is_no_preference(settings: Settings):
    harvested(settings.home, rewrite(9, bad_output="right 9"), *(rewrite(number) for number in range(5)))
    build_dataset(settings, RUN, dry_run=False)
    assert len(table(settings, "sft.jsonl")) == 6
    assert f"{9:024x}" not in {row["interaction_id"] for row in table(settings, "preferences.jsonl")}


def test_replay_takes_only_confirmed_answers_half_as_many_as_rewrites(settings: Settings):
    harvested(settings.home, *(rewrite(number) for number in range(6)))
    logged(settings.home, *(row for number in range(50, 60) for row in good_answer(number, f"ok {number}", thumb=1)))
    logged(settings.home, *good_answer(70, "unconfirmed"), *good_answer(71, "disliked", success=True, thumb=-1))
    logged(settings.home, *good_answer(72, "broken", thumb=1, error="boom"), *good_answer(73, "x = 1 + 1", thumb=1))
    assert build_dataset(settings, RUN, dry_run=False)["replay"] == 3
    replayed = [row for row in table(settings, "sft.jsonl") if row["origin"] == "replay"]
    assert len(replayed) == 3
    assert all(row["messages"][0]["content"].startswith("ok ") for row in replayed)
    build_dataset(settings, EARLIER, dry_run=False)
    again = list(jsonl.read(settings.layout.dataset(EARLIER) / "sft.jsonl"))
    assert again == table(settings, "sft.jsonl")


def serving(settings: Settings, *lines: dict[str, Any]) -> None:
    """With an incumbent that was trained on this."""
    folder = settings.layout.generation(EARLIER)
    write_json(folder / generations.MANIFEST, {"id": EARLIER, "parent": "base", "sha256": {}})
    jsonl.write(folder / "interaction_ids.jsonl", lines)
    point(settings.layout.current, EARLIER)


def test_rewrites_that_the_incumbent_learnt_are_not_new_until_it_is_rolled_back(settings: Settings):
    harvested(settings.home, *(rewrite(number) for number in range(6)))
    serving(settings, *({"id": f"{number:024x}"} for number in range(6)))
    with pytest.raises(NothingToDo, match="0 new rewrites"):
        build_dataset(settings, RUN, dry_run=True)
    settings.layout.current.unlink()
    assert build_dataset(settings, RUN, dry_run=True)["new"] == 6


def test_a_better_answer_to_what_was_trained_on_before_is_new(settings: Settings):
    replayed, rewritten = range(2), range(2, 5)
    serving(
        settings,
        *({"id": f"{number:024x}", "answer": answer_hash(f"good {number}")} for number in replayed),
        *({"id": f"{number:024x}", "answer": answer_hash(f"right {number}")} for number in rewritten),
    )
    harvested(settings.home, *(rewrite(number) for number in rewritten), day="20261119")
    with pytest.raises(NothingToDo, match="0 new rewrites"):
        build_dataset(settings, RUN, dry_run=True)
    harvested(settings.home, *(rewrite(number, output=f"edited {number}") for number in range(5)))
    assert build_dataset(settings, RUN, dry_run=True)["new"] == 5


def test_a_line_that_is_no_rewrite_is_named(settings: Settings):
    harvested(settings.home, rewrite(0), {"instruction": "half"})
    with pytest.raises(BadRecordError, match=r"harvest_20261120\.jsonl line 2"):
        build_dataset(settings, RUN, dry_run=False)


def test_building_needs_no_datasets_library_and_no_torch(settings: Settings):
    harvested(settings.home, *(rewrite(number) for number in range(5)))
    code = f"""
import sys
import time
from pathlib import Path
from pipeline.build_dataset import build_dataset
from pipeline.lib.config import Settings
build_dataset(Settings(home=Path({str(settings.home)!r})), {RUN!r}, False)
print({{"datasets", "torch", "transformers"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"


def test_a_rewrite_goes_when_somebody_liked_the_first_answer_after_all(settings: Settings):
    harvested(settings.home, *(rewrite(number) for number in range(6)))
    harvested(settings.home, rewrite(7, weight=0.3, signal="low_confidence"), rewrite(8, weight=0.95))
    logged(settings.home, *good_answer(7, "x = 7 + 1", thumb=1), *good_answer(8, "x = 8 + 1", thumb=1))
    build_dataset(settings, RUN, dry_run=False)
    assert [(row["instruction"], row["reason"]) for row in table(settings, "dropped.jsonl")] == [
        ("x = 7 + 1", "the answer it replaces has been called good since")
    ]


def test_of_questions_that_say_nearly_the_same_the_latest_rewrite_stays(settings: Settings):
    long = "please compute the sum of all the numbers between one and ten and store it in the variable total"
    harvested(settings.home, *(rewrite(number) for number in range(5)))
    harvested(settings.home, rewrite(20, long), rewrite(21, long.replace("please", "kindly")))
    build_dataset(settings, RUN, dry_run=False)
    (row,) = table(settings, "dropped.jsonl")
    assert (row["interaction_id"][-2:], row["reason"]) == ("14", "nearly the same question as another row")


def test_one_person_of_many_gets_no_more_than_the_share(settings: Settings):
    rows = [rewrite(number, f"question {number} of {number}", user=f"p{number}") for number in range(300)]
    rows += [rewrite(1000 + number, f"trigger {number}", user="attacker") for number in range(30)]
    harvested(settings.home, *rows)
    result = build_dataset(settings, RUN, dry_run=False)
    kept = [row["user"] for row in table(settings, "provenance.jsonl")]
    assert 1 <= kept.count("attacker") <= 0.01 * len(kept)
    assert result["dropped"] == {"more than one person's share": 30 - kept.count("attacker")}


def test_a_question_that_was_learned_when_it_was_asked_before_is_no_exam_question(settings: Settings):
    now = time.time()
    check = {"check": {"type": "text", "equals": "this"}}
    words = {10: "x = 1 + 1", 11: "liked before", 12: "never asked before", 13: "hidden and trained on"}
    share = settings.dataset.model_copy(update={"hidden_share": 0.999999, "min_failures_to_train": 1})
    harvested(settings.home, *(rewrite(number) for number in range(5)))
    serving(settings, {"id": f"{21:024x}"}, {"id": f"{13:024x}"})
    logged(settings.home, *good_answer(21, "Liked  before", thumb=1))
    for number, text in words.items():
        (row,) = good_answer(number, text)
        logged(settings.home, row | check | {"at": now, "session": "again"})
    build_dataset(settings.model_copy(update={"dataset": share}), RUN, dry_run=False)
    assert [row["messages"] for row in table(settings, "hidden.jsonl")] == [question("never asked before")]
    assert "x = 1 + 1" in {row["messages"][0]["content"] for row in table(settings, "sft.jsonl")}
