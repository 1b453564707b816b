"""The promise: planted failures change what the server answers, harm is refused, rollback restores the hash.

One installation lives through these tests in order, like a real one: a day, a night, bad candidates, a rollback.
"""

import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import candidates
import pytest
from conftest import REPOSITORY, Home

from pipeline.backends.checks.run import judge
from pipeline.starter import tasks

RUNBOOK = (REPOSITORY / "docs" / "runbooks" / "production_monitoring.md").read_text(encoding="utf-8")


def ask_all(home: Home, questions: list[str]) -> dict[str, str]:
    """Greedy answers through the public name."""

    def ask(question: str) -> str:
        return home.ask(question)["choices"][0]["message"]["content"]

    with ThreadPoolExecutor(96) as pool:
        return dict(zip(questions, pool.map(ask, questions), strict=True))


def exam(home: Home) -> dict[str, str]:
    """Every held-out question."""
    return ask_all(home, [task.question for task in tasks.holdout()])


def successes(answers: dict[str, str]) -> int:
    return sum(judge(answers[task.question], task.check).passed is True for task in tasks.holdout())


@pytest.fixture(scope="module")
def night(served: Home) -> dict[str, Any]:
    """A day and the night after it; what the server answered before and after."""
    before = exam(served)
    # The exam was logged like any chat; only the day below is the night's to learn from.
    for path in (served.folder / "logs" / "interactions").glob("*.jsonl"):
        path.unlink()
    day = served.result("starter", "day", "--requests", "800", "--seed", "1")
    done = served.night(
        NIGHTSCHOOL_NIGHT__ROUNDS="2",
        NIGHTSCHOOL_HARVEST__MINUTES="0.15",
        NIGHTSCHOOL_TRAIN__EPOCHS="5",
        NIGHTSCHOOL_DATASET__REHEARSAL="models/starter/rehearsal.jsonl",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    failed = [line["instruction"] for line in served.lines("training_data/harvest_????????.jsonl")]
    return {"before": before, "after": exam(served), "day": day, "failed": failed, "stdout": done.stdout}


def test_held_out_success_measured_through_the_server_rises(night: dict[str, Any]) -> None:
    assert successes(night["after"]) >= successes(night["before"]) + 8  # two points of 400


def test_served_answers_to_the_failed_questions_change(served: Home, night: dict[str, Any]) -> None:
    failed = {line["instruction"]: line["bad_output"] for line in served.lines("training_data/harvest_????????.jsonl")}
    assert len(failed) >= 5
    answers = ask_all(served, list(failed))
    changed = sum(answers[question] != bad for question, bad in failed.items())
    assert changed >= 0.5 * len(failed)


def test_disk_server_and_ledger_agree_on_what_serves(served: Home, night: dict[str, Any]) -> None:
    manifest = json.loads((served.folder / "loras" / "current" / "generation.json").read_text())
    health = served.health()
    assert health["adapter"] == served.current == manifest["id"]
    assert health["adapter_sha256"] == manifest["sha256"]["adapter_model.safetensors"]
    assert served.lines("logs/promotions.jsonl")[-1]["sha256"] == health["adapter_sha256"]


def test_the_proof_asks_what_the_canary_saw_answered_differently(served: Home, night: dict[str, Any]) -> None:
    folder = f"loras/{served.current}"
    rows = served.lines(f"{folder}/canary.jsonl")
    disputed = [row["messages"] for row in rows if row["candidate"]["text"] != row["incumbent"]["text"]]
    deployment = json.loads((served.folder / folder / "deployment.json").read_text())
    assert any(probe in disputed for probe in deployment["fingerprint"]["probes"])


def test_nothing_held_out_was_trained_on(served: Home, night: dict[str, Any]) -> None:
    held_out = {tasks.normalize(task.question) for task in tasks.holdout()}
    trained = {tasks.normalize(row["messages"][-2]["content"]) for row in served.lines("training_data/2*/sft.jsonl")}
    assert trained
    assert not trained & held_out


def test_what_the_base_could_do_already_is_rehearsed(served: Home, night: dict[str, Any]) -> None:
    rehearsed = served.lines("training_data/rehearsal.jsonl")
    right = [row["messages"][-1]["content"] for row in rehearsed if row["passed"]]
    assert 0 < len(right) < len(rehearsed)
    for path in served.folder.glob("training_data/2*/dataset.json"):
        trained_on = [
            row["messages"][0]["content"] for row in served.lines(f"training_data/{path.parent.name}/sft.jsonl")
        ]
        assert json.loads(path.read_text())["rehearsed"] == len(set(right) & set(trained_on)) > 0


def test_report_tells_the_story_of_the_night(served: Home, night: dict[str, Any]) -> None:
    done = served.run("report")
    assert done.returncode == 0, done.stderr
    for word in ("harvested", "held-out before", "held-out after", "verdict", "serving", "deploy"):
        assert word in done.stdout
    assert served.health()["adapter_sha256"] in done.stdout.replace("\n", "")
    by_night = served.run("report", "--run", served.current.removesuffix("-2"))
    assert by_night.stdout == done.stdout


@pytest.mark.parametrize("lines", re.findall(r"```bash\n(.*?)```", RUNBOOK, re.DOTALL))
def test_what_the_runbook_says_works_when_typed_the_morning_after(
    served: Home, night: dict[str, Any], lines: str
) -> None:
    assert served.typed(lines)


def test_every_stage_left_its_line(served: Home, night: dict[str, Any]) -> None:
    night, _, number = served.current.partition("-")
    assert number == "2"
    stages = [(line["run"], line["stage"], line["exit_code"]) for line in served.lines("logs/runs.jsonl")]
    learning = ("harvest", "build-dataset", "train")
    first = [(night, name, 0) for name in ("doctor", *learning)]
    second = [(f"{night}-2", name, 0) for name in (*learning, "canary", "deploy")]
    assert [line for line in stages if line[0].startswith(night)][:9] == first + second
    assert (served.folder / "logs" / f"nightly_{night}.log").is_file()


def test_the_first_candidate_of_the_night_taught_the_second_and_was_put_away(
    served: Home, night: dict[str, Any]
) -> None:
    first = served.current.removesuffix("-2")
    teachers = {line["teacher"].split(":")[0] for line in served.lines("training_data/harvest_????????.jsonl")}
    assert teachers == {"starter@base", f"starter@{first}"}
    assert first not in served.health()["loaded"]


def assert_refused(served: Home, candidate: str) -> dict[str, Any]:
    """The canary says fail, deploy obeys, and nothing moved."""
    before = (served.current, served.health()["adapter_sha256"])
    assert served.run("canary", "--candidate", candidate).returncode == 20
    verdict = json.loads((served.folder / "loras" / candidate / "verdict.json").read_text())
    assert verdict["outcome"] == "fail"
    assert served.run("deploy", "--candidate", candidate).returncode == 20
    assert (served.current, served.health()["adapter_sha256"]) == before
    return verdict


def test_candidate_trained_on_wrong_answers_is_refused(served: Home, night: dict[str, Any]) -> None:
    rows = [(task, candidates.wrong(task)) for task in candidates.tasks_of("wrong", 150, (1, 2, 3))]
    candidates.write_dataset(served, "20300101T000000Z", rows)
    assert served.run("train", "--run", "20300101T000000Z").returncode == 0
    assert_refused(served, "20300101T000000Z")


def test_candidate_with_random_weights_is_refused(served: Home, night: dict[str, Any]) -> None:
    candidates.altered(served, served.current, "20300102T000000Z", candidates.random_tensor)
    assert_refused(served, "20300102T000000Z")


def test_inert_adapter_is_refused(served: Home, night: dict[str, Any]) -> None:
    candidates.altered(served, served.current, "20300103T000000Z", candidates.zeroed_outputs)
    assert "inert" in assert_refused(served, "20300103T000000Z")["reason"]


def test_adapter_whose_keys_load_nowhere_is_refused(served: Home, night: dict[str, Any]) -> None:
    candidates.altered(served, served.current, "20300104T000000Z", candidates.misnamed)
    assert "find no place" in assert_refused(served, "20300104T000000Z")["reason"]


def test_adapter_changed_after_training_is_refused(served: Home, night: dict[str, Any]) -> None:
    candidates.altered(served, served.current, "20300105T000000Z", lambda name, tensor: (name, tensor))
    path = served.folder / "loras" / "20300105T000000Z" / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "has changed" in assert_refused(served, "20300105T000000Z")["reason"]


def test_verdict_about_another_incumbent_is_no_permission(served: Home, night: dict[str, Any]) -> None:
    candidates.altered(served, served.current, "20300106T000000Z", lambda name, tensor: (name, tensor * 0.9))
    folder = served.folder / "loras"
    verdict = json.loads((folder / served.current / "verdict.json").read_text())
    (folder / "20300106T000000Z" / "verdict.json").write_text(json.dumps(verdict))
    assert served.run("deploy", "--candidate", "20300106T000000Z").returncode == 20


def test_hundred_activations_under_load_lose_and_mix_nothing(served: Home, night: dict[str, Any]) -> None:
    promoted = served.current
    assert served.control("load", "20300101T000000Z").ok
    versions = (promoted, "20300101T000000Z")
    questions = [task.question for task in candidates.tasks_of("load", 24, (1, 2))]
    references = {version: clear_answers(served, version, questions) for version in versions}
    clear = [question for question in questions if all(question in references[version] for version in versions)]
    differing = [
        question for question in clear if references[versions[0]][question] != references[versions[1]][question]
    ]
    assert len(differing) >= 10  # otherwise a mixed answer could not be told

    stop, seen = [False], []

    def keep_asking(number: int) -> None:
        source = random.Random(number)
        while not stop[0]:
            question = source.choice(differing)
            answer = served.ask(question)
            seen.append((question, answer["system_fingerprint"], answer["choices"][0]["message"]["content"]))

    with ThreadPoolExecutor(8) as pool:
        askers = [pool.submit(keep_asking, number) for number in range(8)]
        for number in range(100):
            assert served.control("activate", versions[number % 2]).ok
            time.sleep(0.05)  # so that requests are admitted under each of them
        stop[0] = True
        for asker in askers:
            asker.result()
    assert served.control("activate", promoted).ok
    assert {version for _, version, _ in seen} == set(versions)
    assert [row for row in seen if references[row[1]][row[0]] != row[2]] == []


def clear_answers(home: Home, version: str, questions: list[str]) -> dict[str, str]:
    """Reference answers, one at a time, of the questions on which the model does not waver."""
    found = {}
    for question in questions:
        choice = home.ask(question, f"starter@{version}", logprobs=True)["choices"][0]
        if min(token["logprob"] for token in choice["logprobs"]["content"]) > -0.4:
            found[question] = choice["message"]["content"]
    return found


def test_rollback_restores_the_previous_hash_and_says_why(served: Home, night: dict[str, Any]) -> None:
    promoted = served.current
    done = served.run("rollback", "--reason", "tried by a test")
    assert done.returncode == 0, done.stderr
    health = served.health()
    assert (served.current, health["adapter"], health["adapter_sha256"]) == ("base", "base", None)
    summary = json.loads((served.folder / "loras" / "current" / "rollback_summary.json").read_text())
    assert (summary["from"], summary["to"], summary["reason"]) == (promoted, "base", "tried by a test")
    assert summary["proven"] is True
    assert (served.folder / "loras" / promoted / "adapter_model.safetensors").is_file()
    assert exam_matches(served, night["before"])


def exam_matches(home: Home, before: dict[str, str]) -> bool:
    """The old answers are back; a near tie may fall the other way in another batch."""
    after = exam(home)
    return sum(after[question] == text for question, text in before.items()) >= 0.98 * len(before)


def test_after_a_rollback_the_rows_are_new_again(served: Home, night: dict[str, Any]) -> None:
    before = served.result("build-dataset", "--dry-run")
    assert before["new"] == before["rewrites"] > 5


def test_rolled_back_generation_can_be_given_back(served: Home, night: dict[str, Any]) -> None:
    generation = served.lines("logs/promotions.jsonl")[0]["to"]
    assert served.run("rollback", "--to", generation).returncode == 0
    assert served.health()["adapter"] == generation == served.current


def test_restarted_server_serves_what_current_names(served: Home, night: dict[str, Any], tmp_path: Path) -> None:
    other = Home(served.folder, {"NIGHTSCHOOL_SERVER__PORT": "0"})
    assert other.run("serve").returncode == 75  # one gateway a home
    assert json.loads((served.folder / "loras" / served.current / "generation.json").read_text())["parent"] == "base"
