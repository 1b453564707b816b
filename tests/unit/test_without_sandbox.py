"""A machine that cannot run foreign code calls no answer wrong: whatever needs it waits, or fails as not run."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import CHECK, SQUARE, with_sandbox, without_bubblewrap
from test_exam import Gateway, examinee, question
from test_gate_verdict import RULES, examined, many

from pipeline import canary
from pipeline.backends.checks.run import usable
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.doctor import sandbox_found
from pipeline.gate.verdict import Trial
from pipeline.harvest import harvest
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo

NOW = 1_763_640_000.0  # 2025-11-20 12:00 UTC


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[None]:
    with without_bubblewrap(tmp_path):
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a failure whose check is Python, and that a person answered with what is right."""
    interaction = {
        "kind": "interaction",
        "id": f"{1:024x}",
        "source": "gateway",
        "at": NOW - 60,
        "messages": [{"role": "user", "content": "Write f(x), the square of x."}],
        "answer": "def f(x): return 2 * x",
        "success": False,
        "check": CHECK,
    }
    feedback = {"kind": "feedback", "interaction_id": interaction["id"], "at": NOW - 50, "preferred": SQUARE}
    day = time.strftime("%Y-%m-%d", time.gmtime(NOW))
    jsonl.append(tmp_path / "logs" / "interactions" / f"{day}.jsonl", [interaction, feedback])
    return Settings(home=tmp_path)


def decided(home: Path) -> list[dict[str, Any]]:
    return [row for path in home.glob("training_data/harvest_*.jsonl") for row in jsonl.read(path)]


def test_a_failure_waits_for_a_machine_that_can_run_its_check(settings: Settings, tmp_path: Path):
    with without_bubblewrap(tmp_path), pytest.raises(NothingToDo, match="1 that wait for a sandbox"):
        harvest(settings, None, NOW, dry_run=False)
    assert decided(tmp_path) == []
    with with_sandbox():
        result = harvest(settings, None, NOW + 60, dry_run=False)
    assert (result["rewrites"], result["waiting"]) == (1, 0)
    (row,) = decided(tmp_path)
    assert (row["output"], row["verified_by"], row["quality_score"]) == (SQUARE, "python", 1.0)


def test_others_do_not_wait_with_it(settings: Settings, bare: None):
    other = {**jsonl_rows(settings)[0], "id": f"{2:024x}", "check": None}
    other["messages"] = [{"role": "user", "content": "Hello?"}]
    said = {"kind": "feedback", "interaction_id": other["id"], "at": NOW - 40, "edited": "Hello!"}
    jsonl.append(next((settings.home / "logs" / "interactions").iterdir()), [other, said])
    result = harvest(settings, None, NOW, dry_run=False)
    assert (result["rewrites"], result["waiting"]) == (1, 1)


def test_what_a_person_wrote_does_not_wait(settings: Settings, bare: None):
    said = {"kind": "feedback", "interaction_id": f"{1:024x}", "at": NOW - 40, "edited": SQUARE}
    jsonl.append(next((settings.home / "logs" / "interactions").iterdir()), [said])
    result = harvest(settings, None, NOW, dry_run=False)
    assert (result["rewrites"], result["waiting"]) == (1, 0)


def jsonl_rows(settings: Settings) -> list[dict[str, Any]]:
    return [row for path in (settings.home / "logs" / "interactions").iterdir() for row in jsonl.read(path)]


def test_its_check_is_not_usable_for_a_hidden_question(bare: None):
    assert not usable(CHECK)


def test_an_answer_that_could_not_be_run_is_neither_right_nor_wrong(tmp_path: Path, bare: None):
    answer = examinee(tmp_path, Gateway()).answer(question(CHECK))
    assert (answer.text, answer.passed) == ("hello", None)
    assert "bubblewrap is not installed" in str(answer.error)


def test_the_canary_hands_on_why_a_check_could_not_run(tmp_path: Path, bare: None):
    folders = [tmp_path / name for name in ("candidate", "incumbent")]
    hall = canary.Hall(*(examinee(folder, Gateway()) for folder in folders), None, None)
    (trial,), (row,) = canary._ask(hall, [question(CHECK)], Settings(home=tmp_path))
    assert (trial.candidate, trial.incumbent, trial.difference) == (None, None, None)
    assert trial.not_run == row["candidate"]["error"] == "bubblewrap is not installed (no bwrap in PATH)"


def test_a_category_with_a_check_that_could_not_run_fails_as_not_run_and_blames_nobody():
    stuck = Trial("q", "canary", "functionality", "easy", must_pass=True, not_run="bubblewrap: not installed")
    verdict, outcome, reason = examined([stuck, *many(200)], RULES).conclude()
    assert outcome == "fail"
    assert reason == "category functionality could not run: 1 of 201 checks: bubblewrap: not installed"
    assert verdict["must_pass_missed"] == []
    assert examined(many(200), RULES).conclude()[1] == "pass"


def test_the_doctor_names_the_mechanism_that_works(tmp_path: Path):
    with with_sandbox():
        assert sandbox_found(Settings(home=tmp_path)) == "bubblewrap"


def test_the_doctor_mentions_a_missing_sandbox_and_fails_only_where_it_is_needed(tmp_path: Path, bare: None):
    settings = Settings(home=tmp_path)
    assert "(apt install bubblewrap" in sandbox_found(settings)
    task = {"id": "1", "messages": [{"role": "user", "content": "f?"}], "check": CHECK}
    (tmp_path / "mine.jsonl").write_text(json.dumps(task))
    with pytest.raises(SandboxError, match=r"1 canary tasks .* bubblewrap is not installed") as raised:
        sandbox_found(Settings(home=tmp_path, canary={"tasks": "mine.jsonl"}))
    assert "apt install bubblewrap" in raised.value.hint
