"""A person decides, the morning looks back, and two base models share a home: on the real tiny model.

One installation lives through these tests in order.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import candidates
import pytest
from conftest import Home
from safetensors.numpy import load_file, save_file

CANDIDATE, EARLIER, UNWANTED = "20300501T000000Z", "20300502T000000Z", "20300503T000000Z"


@pytest.fixture(scope="module")
def waiting(served: Home) -> Home:
    """A candidate that passed, in an installation where a person has to approve it."""
    candidates.write_questions(served.folder / "holdout.jsonl", candidates.tasks_of("gate", 60, (1,)))
    candidates.write_questions(served.folder / "canary.jsonl", candidates.tasks_of("canary", 5, (1,)))
    served.environment = {
        "NIGHTSCHOOL_DATASET__HOLDOUT": "holdout.jsonl",
        "NIGHTSCHOOL_CANARY__TASKS": "canary.jsonl",
        "NIGHTSCHOOL_CANARY__MARGIN": "0.4",  # this is not about the gate
        "NIGHTSCHOOL_DEPLOY__APPROVAL": "true",
        "MONITOR_DURATION": "1",
    }
    rows = [(task, candidates.right(task)) for task in candidates.tasks_of("approval", 80, (2, 3))]
    candidates.write_dataset(served, CANDIDATE, rows)
    assert served.run("train", "--run", CANDIDATE).returncode == 0
    done = served.run("canary", "--candidate", CANDIDATE)
    assert done.returncode == 0, done.stderr
    return served


def read(home: Home, path: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((home.folder / path).read_text())
    return content


def marks(home: Home) -> dict[str, list[str]]:
    return {each["id"]: each["marks"] for each in home.result("versions", "list")["versions"]}


def test_candidate_serves_only_after_a_person_said_yes(waiting: Home) -> None:
    done = waiting.run("deploy")
    assert done.returncode == 21
    assert "awaiting approval until" in done.stderr
    assert waiting.health()["adapter"] == "base"
    assert marks(waiting) == {"base": ["current", "loaded"], CANDIDATE: ["loaded", "awaiting"]}

    asked = waiting.run("approve", "--dry-run")
    assert asked.returncode == 0, asked.stderr
    assert "verdict   pass" in asked.stdout
    assert f"{CANDIDATE} (right):" in asked.stdout
    assert read(waiting, f"loras/{CANDIDATE}/approval.json")["state"] == "awaiting"

    said = waiting.result("approve", "--by", "Ada")
    assert (said["candidate"], said["by"], said["deployed"]["watch"]["health"]) == (CANDIDATE, "Ada", "healthy")
    health = waiting.health()
    assert health["adapter"] == CANDIDATE == waiting.current
    approval = read(waiting, f"loras/{CANDIDATE}/approval.json")
    assert (approval["state"], approval["by"], approval["sha256"]) == ("approved", "Ada", health["adapter_sha256"])
    assert marks(waiting) == {"base": ["previous", "loaded"], CANDIDATE: ["current", "loaded"]}


def test_rejected_candidate_is_refused(waiting: Home) -> None:
    candidates.altered(waiting, CANDIDATE, UNWANTED, lambda name, tensor: (name, tensor * 0.99))
    assert waiting.run("reject", "--candidate", UNWANTED, "--reason", "not like this").returncode == 0
    done = waiting.run("deploy", "--candidate", UNWANTED)
    assert done.returncode == 20
    assert "not like this" in done.stderr
    assert waiting.health()["adapter"] == CANDIDATE


def test_pinned_incumbent_is_not_replaced(waiting: Home) -> None:
    assert waiting.result("versions", "pin", "current")["frozen"] is True
    done = waiting.run("deploy", "--candidate", UNWANTED)
    assert (done.returncode, "pinned" in done.stderr) == (20, True)
    assert waiting.result("versions", "unpin", CANDIDATE) == {"unpinned": CANDIDATE}


def test_morning_compares_both_models_and_changes_nothing(waiting: Home) -> None:
    """Yesterday's model is not loaded any more; the ledger says which it was."""
    candidates.altered(waiting, CANDIDATE, EARLIER, lambda name, tensor: (name, tensor * 0.1))
    with (waiting.folder / "logs" / "promotions.jsonl").open("a") as ledger:
        entry = {**waiting.lines("logs/promotions.jsonl")[-1], "from": EARLIER, "at": time.time()}
        ledger.write(json.dumps(entry) + "\n")
    waiting.result("starter", "day", "--requests", "80", "--seed", "5")
    before = waiting.health()
    found = waiting.result("validate")
    assert (found["yesterday"], found["today"]) == (EARLIER, CANDIDATE)
    numbers = found["groups"]["all"]
    rows = waiting.lines("logs/validation/*.jsonl")
    assert numbers["questions"] == len(rows) > 5
    assert numbers["today"] == sum(row["today"]["passed"] for row in rows)
    assert numbers["yesterday"] == sum(row["yesterday"]["passed"] for row in rows)
    assert numbers["improvement_rate"] == (numbers["today"] - numbers["yesterday"]) / len(rows)
    low, high = numbers["interval"]
    assert low <= numbers["improvement_rate"] <= high
    assert found["failed_under"] == {CANDIDATE: len(rows)}
    (date,) = (path.stem for path in (waiting.folder / "logs" / "validation").glob("*.json"))
    assert read(waiting, f"logs/validation/{date}.json")["groups"] == found["groups"]
    after = waiting.health()
    assert (after["adapter"], after["loaded"]) == (before["adapter"], before["loaded"])
    assert "improvement" in waiting.run("validate").stdout


def test_each_base_model_keeps_what_it_had(waiting: Home, home: Home, base_model: Path) -> None:
    shutil.copytree(waiting.folder / "loras" / CANDIDATE, home.folder / "loras" / CANDIDATE)
    shutil.copy(waiting.folder / "logs" / "promotions.jsonl", home.folder / "logs" / "promotions.jsonl")
    (home.folder / "loras" / "current").symlink_to(CANDIDATE)
    other = home.folder / "models" / "other"
    shutil.copytree(base_model, other)
    weights = other / "model.safetensors"
    save_file({name: tensor * 1.001 for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})

    ours, theirs = home, Home(home.folder, {"NIGHTSCHOOL_MODEL__BASE": "models/other"})
    for command in ("serve", "rollback"):
        done = theirs.run(command)
        assert done.returncode == 78, done.stderr
        assert "another base model" in done.stderr
        assert "hint: `nightschool versions switch-base`" in done.stderr
    assert theirs.result("versions", "switch-base")["to"] == "base"
    with theirs.serving():
        assert theirs.health()["adapter"] == "base"
        assert theirs.health()["base_sha256"] != waiting.health()["base_sha256"]
        assert theirs.ask("set x to 1 + 2")["choices"][0]["message"]["content"]
    switched = ours.result("versions", "switch-base")
    assert switched["to"] == CANDIDATE == ours.current
    assert switched["to_sha256"] == waiting.health()["adapter_sha256"]
