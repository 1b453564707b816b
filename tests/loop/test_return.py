"""A candidate that passes its canary and fails under live traffic goes back by itself."""

import json

import candidates
import pytest
from conftest import Home

CANDIDATE = "20300201T000000Z"


@pytest.fixture
def fooled(served: Home) -> Home:
    """Gate and training see one-operation questions only; everything longer was taught wrongly."""
    candidates.write_questions(served.folder / "holdout.jsonl", candidates.tasks_of("gate", 220, (1,)))
    candidates.write_questions(served.folder / "canary.jsonl", candidates.tasks_of("canary", 5, (1,)))
    served.environment = {
        "NIGHTSCHOOL_DATASET__HOLDOUT": "holdout.jsonl",
        "NIGHTSCHOOL_CANARY__TASKS": "canary.jsonl",
        "MONITOR_DURATION": "60",
    }
    short = [(task, candidates.right(task)) for task in candidates.tasks_of("short", 120, (1,))]
    long = [(task, candidates.wrong(task)) for task in candidates.tasks_of("long", 160, (2, 3))]
    candidates.write_dataset(served, CANDIDATE, short + long)
    return served


def test_watch_returns_to_the_previous_hash_when_live_traffic_fails(fooled: Home) -> None:
    before = fooled.health()
    # What the incumbent reaches on this traffic is part of the snapshot that the watch compares with.
    live = fooled.result("starter", "day", "--requests", "120", "--seed", "7")
    assert fooled.run("train", "--run", CANDIDATE).returncode == 0
    assert fooled.run("canary", "--candidate", CANDIDATE).returncode == 0

    traffic = fooled.start("starter", "day", "--requests", "5000", "--rate", "5", "--seed", "8")
    try:
        done = fooled.run("deploy", "--candidate", CANDIDATE)
    finally:
        traffic.kill()
        traffic.communicate()

    assert done.returncode == 30, done.stdout + done.stderr
    assert "rolled back" in done.stderr
    health = fooled.health()
    assert (health["adapter"], health["adapter_sha256"]) == (before["adapter"], before["adapter_sha256"])
    summary = json.loads((fooled.folder / "loras" / "current" / "rollback_summary.json").read_text())
    assert (summary["from"], summary["to"]) == (CANDIDATE, "base")
    assert summary["proven"] is True
    assert "success" in summary["reason"]
    assert summary["numbers"]["successes"] / summary["numbers"]["outcomes"] < live["success"]
    assert [line["to"] for line in fooled.lines("logs/promotions.jsonl")] == [CANDIDATE, "base"]
    # Back at the base, the failed generation is not offered again without a new verdict … and stays for analysis.
    assert (fooled.folder / "loras" / CANDIDATE / "deployment.json").is_file()
