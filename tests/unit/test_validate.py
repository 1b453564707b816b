import time
from pathlib import Path
from typing import Any

import pytest
from handmade import FIRST, SECOND, make, make_settings, promote, swap
from teaching import Gateway, servers

from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.lib import generations, jsonl
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo
from pipeline.validate import validate

NOW = time.time()
CHECK = {"type": "text", "equals": "4"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation on the morning after a promotion."""
    settings = make_settings(tmp_path, validation={"hours": 48, "questions": 4})
    make(settings, FIRST, trained_on=("learned by the parent",))
    make(settings, SECOND, FIRST, trained_on=("learned",))
    learned = {"messages": [*asked("learned by its words"), {"role": "assistant", "content": "4"}]}
    jsonl.write(settings.layout.dataset(SECOND) / "sft.jsonl", [learned])
    promote(settings, FIRST)
    promote(settings, SECOND)
    return settings


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def log(settings: Settings, *rows: dict[str, Any]) -> None:
    jsonl.append(settings.layout.interactions / f"{time.strftime('%Y-%m-%d', time.gmtime(NOW))}.jsonl", rows)


def interaction(identity: str, **more: Any) -> dict[str, Any]:
    record = {"kind": "interaction", "id": identity, "source": "gateway", "at": NOW - 60, "messages": asked(identity)}
    return {**record, "answer": "5", "success": False, "check": CHECK, **more}


def plan(settings: Settings) -> dict[str, Any]:
    return validate(settings, dry_run=True)


def test_yesterday_is_what_was_current_before_the_latest_promotion(settings: Settings):
    log(settings, interaction("new"))
    assert (plan(settings)["yesterday"], plan(settings)["today"]) == (FIRST, SECOND)


def test_a_question_that_the_gateway_refuses_is_wrong_and_the_others_are_asked(settings: Settings):
    log(settings, interaction("2 + 2"), interaction("much too long"))
    gateway = Gateway(lambda _: "4", refused="much too long")
    gateway.health |= {"loaded": {FIRST: "1", SECOND: "2"}, "base_sha256": base_sha256(settings.base_folder)}
    with servers(gateway):
        found = validate(gateway.serves(settings), dry_run=False)["groups"]["all"]
    assert (found["questions"], found["yesterday"], found["today"]) == (2, 1, 1)


def test_without_a_promotion_there_is_nothing_to_compare(tmp_path: Path):
    with pytest.raises(NothingToDo, match="nothing has been promoted yet"):
        validate(make_settings(tmp_path), dry_run=False)


def test_after_a_rollback_todays_model_is_yesterdays(settings: Settings):
    swap(settings, FIRST, "worse")
    with pytest.raises(NothingToDo, match=f"{SECOND} was rolled back"):
        plan(settings)


def test_a_version_that_was_pruned_cannot_be_asked(settings: Settings):
    (settings.layout.generation(FIRST) / generations.MANIFEST).unlink()
    with pytest.raises(NothingToDo, match="no longer there"):
        plan(settings)


def test_only_recent_failures_with_a_usable_check_are_asked_each_once(settings: Settings):
    log(
        settings,
        interaction("new"),
        interaction("the same question", messages=asked("new")),
        interaction("long ago", at=NOW - 49 * 3600),
        interaction("good", success=True),
        interaction("no check", check=None),
        interaction("unusable check", check={"type": "nonsense"}),
    )
    assert plan(settings)["groups"] == {"new": 1}


def test_questions_trained_on_are_told_apart_by_id_by_words_and_by_descent(settings: Settings):
    log(settings, *(interaction(each) for each in ("new", "learned", "learned by the parent")))
    log(settings, interaction("another id", messages=asked("Learned by  its words")))
    assert plan(settings)["groups"] == {"new": 1, "trained on": 3}


def test_questions_trained_on_only_fill_up_what_new_ones_leave(settings: Settings):
    log(settings, *(interaction(f"new {number}", at=NOW - 1000) for number in range(3)))
    log(settings, interaction("learned"), interaction("learned by the parent"))
    assert plan(settings)["groups"] == {"new": 3, "trained on": 1}
    log(settings, *(interaction(f"newer {number}") for number in range(3)))
    assert plan(settings)["groups"] == {"new": 4}


def test_without_failures_the_hold_out_is_asked(settings: Settings):
    with pytest.raises(NothingToDo, match="nothing to ask"):
        plan(settings)
    rows = [{"messages": asked(f"held out {number}"), "check": CHECK} for number in range(9)]
    jsonl.write(Path(settings.base_folder) / "holdout.jsonl", rows)
    assert plan(settings)["groups"] == {"hold-out": 3}


def test_what_only_a_judge_or_an_absent_sandbox_could_decide_is_not_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.backends.sandboxes.choice.problem", lambda: SandboxError("none here"))
    held_out = [{"type": "judge"}, {"type": "python", "tests": "assert f(1) == 2"}]
    rows = [{"messages": asked(f"held out {number}"), "check": check} for number, check in enumerate(held_out)]
    jsonl.write(Path(settings.base_folder) / "holdout.jsonl", rows)
    with pytest.raises(NothingToDo, match="nothing to ask"):
        plan(settings)
    jsonl.append(Path(settings.base_folder) / "holdout.jsonl", [{"messages": asked("2 + 2"), "check": CHECK}])
    assert plan(settings)["groups"] == {"hold-out": 1}


def test_a_dry_run_writes_nothing(settings: Settings):
    log(settings, interaction("new"))
    plan(settings)
    assert not settings.layout.validation.exists()
