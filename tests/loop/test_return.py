"""A candidate that passes its canary and fails under live traffic goes back by itself."""

import json

import candidates
import pytest
from conftest import Home

CANDIDATE = "20300201T000000Z"
LM_EVAL_TASK = """task: longer
dataset_path: json
dataset_kwargs: {data_files: {test: longer.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["HALT\\n"], max_gen_toks: 64}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""


@pytest.fixture(scope="module")
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


def test_standard_benchmark_finds_what_the_own_questions_do_not(fooled: Home) -> None:
    """The questions of gate and canary are one-operation ones, so this candidate passes them: see the next test."""
    longer = [
        {"question": task.question, "answer": candidates.right(task)}
        for task in candidates.tasks_of("benchmark", 60, (2,))
    ]
    (fooled.folder / "longer.jsonl").write_text("".join(json.dumps(row) + "\n" for row in longer))
    (fooled.folder / "longer.yaml").write_text(LM_EVAL_TASK)
    assert fooled.run("train", "--run", CANDIDATE).returncode == 0
    done = fooled.run("--set", "canary.lm_eval=longer.yaml", "canary", "--candidate", CANDIDATE)
    assert done.returncode == 20, done.stdout + done.stderr
    verdict = json.loads((fooled.folder / "loras" / CANDIDATE / "verdict.json").read_text())
    assert "on group lm-eval longer" in verdict["reason"]
    lost = {check["name"]: check["losses"] for check in verdict["checks"]}
    assert lost["overall"] - lost["group lm-eval longer"] < 5


def test_candidate_that_fails_on_its_share_of_traffic_is_never_swapped(fooled: Home) -> None:
    before = fooled.health()
    assert fooled.run("canary", "--candidate", CANDIDATE).returncode == 0
    traffic = fooled.start("starter", "day", "--requests", "5000", "--rate", "8", "--seed", "6")
    try:
        done = fooled.run("deploy", "--candidate", CANDIDATE, "--candidate-share", "50%")
    finally:
        traffic.kill()
        traffic.communicate()
    assert done.returncode == 20, done.stdout + done.stderr
    assert "50% of live traffic: success" in done.stderr
    assert fooled.lines("logs/promotions.jsonl") == []
    assert (fooled.health()["adapter"], CANDIDATE in fooled.health()["loaded"]) == (before["adapter"], False)
    assert fooled.ask("set x to 1 + 2")["system_fingerprint"] == "base"
    answered = {row["adapter"] for row in fooled.lines("logs/interactions/*.jsonl") if row["kind"] == "interaction"}
    assert answered == {"base", CANDIDATE}


def test_watch_returns_to_the_previous_hash_when_live_traffic_fails(fooled: Home) -> None:
    before = fooled.health()
    # What the incumbent reaches on this traffic is part of the snapshot that the watch compares with.
    live = fooled.result("starter", "day", "--requests", "120", "--seed", "7")

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
