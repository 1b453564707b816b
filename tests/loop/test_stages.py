"""Each stage by hand: empty nights, kills, bad input, two at once."""

import fcntl
import json
import time
from pathlib import Path
from typing import Any

import candidates
import pytest
from conftest import Home, wait_for


def interaction(number: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "interaction",
        "id": f"{number:024x}",
        "source": "gateway",
        "at": time.time() - 60,
        "messages": [{"role": "user", "content": f"question number {number}"}],
        "answer": "I do not know.",
        **more,
    }


def log(home: Home, *records: dict[str, Any]) -> None:
    folder = home.folder / "logs" / "interactions"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{time.strftime('%Y-%m-%d', time.gmtime())}.jsonl").open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def edited(number: int) -> dict[str, Any]:
    said = {"thumb": -1, "edited": f"answer number {number}"}
    return interaction(number, feedback=said)


class TestEmptyNight:
    def test_night_without_failures_ends_quietly(self, served: Home) -> None:
        done = served.night()
        assert done.returncode == 10
        assert done.stderr == ""
        assert served.health()["adapter"] == "base"

    def test_too_few_rewrites_wait_for_the_next_night(self, served: Home) -> None:
        log(served, *(edited(number) for number in range(3)))
        assert served.night().returncode == 10
        assert not list(served.folder.glob("training_data/2*"))
        log(served, *(edited(number) for number in range(3, 6)))
        assert served.result("harvest")["rewrites"] == 6
        built = served.result("build-dataset", "--run", "20300301T000000Z")
        assert (built["new"], built["rows"]) == (6, 6)
        again = served.run("harvest")
        assert again.returncode == 10
        assert "decided already" in again.stderr

    def test_all_formats_hold_the_same_rows(self, served: Home) -> None:
        folder = "training_data/20300301T000000Z"
        chat = [row["messages"][-1]["content"] for row in served.lines(f"{folder}/sft.jsonl")]
        assert chat == [row["output"] for row in served.lines(f"{folder}/alpaca.jsonl")]
        assert chat == [row["completion"][0]["content"] for row in served.lines(f"{folder}/prompt_completion.jsonl")]
        assert chat == [row["chosen"][0]["content"] for row in served.lines(f"{folder}/preferences.jsonl")]


def test_harvest_ends_in_time_and_the_rest_waits(served: Home) -> None:
    served.result("starter", "day", "--requests", "60", "--seed", "5")
    hasty = ("--set", "harvest.minutes=0.02", "--set", "harvest.concurrency=2", "harvest")
    first = served.result(*hasty)
    assert first["left"] > 0 < first["worked_on"]
    second = served.result("harvest")
    # What had only its few drafts when the time was over is worked on again.
    assert first["left"] <= second["worked_on"] <= first["left"] + first["unsolved"]
    assert second["left"] == 0
    assert served.run("harvest").returncode == 10


class TestKilled:
    def test_harvest_goes_on_where_it_was_killed(self, served: Home) -> None:
        for path in (served.folder / "logs" / "interactions").glob("*.jsonl"):
            path.unlink()
        served.result("starter", "day", "--requests", "110", "--seed", "3")
        found = served.result("harvest", "--dry-run")["failures"]
        earlier = decided(served)
        harvest = served.start("--set", "harvest.concurrency=4", "harvest")
        wait_for(lambda: decided(served) >= earlier + 10, 120)
        harvest.kill()
        harvest.communicate()
        finished = decided(served) - earlier
        assert 10 <= finished < found
        after = served.result("harvest")
        assert after["worked_on"] == found - finished  # no finished row is paid for twice
        rows = harvested(served)
        assert len(rows) == len(set(rows)) == found

    def test_training_goes_on_from_its_checkpoint_and_ends_the_same(self, served: Home) -> None:
        rows = [(task, candidates.right(task)) for task in candidates.tasks_of("kill", 96, (1, 2))]
        flags = ("--set", "train.save_every=4", "--set", "train.epochs=8", "train", "--run")
        killed, whole = "20300302T000000Z", "20300303T000000Z"
        candidates.write_dataset(served, killed, rows)
        candidates.write_dataset(served, whole, rows)
        assert served.run(*flags, whole).returncode == 0
        training = served.start(*flags, killed)
        loras, work = served.folder / "loras", f".{killed}.sft.*.work"
        saved = f"{work}/checkpoint-*/trainer_state.json"
        wait_for(lambda: training.poll() is not None or any(loras.glob(saved)), 120)
        assert training.poll() is None, "the training ended before it could be killed"
        training.kill()
        training.communicate()
        assert not (served.folder / "loras" / killed).exists()
        done = served.run(*flags, killed)
        assert done.returncode == 0, done.stderr
        assert "going on from checkpoint-" in done.stderr
        assert adapter_hash(served, killed) == adapter_hash(served, whole)
        assert not any(loras.glob(work))

    def test_trained_run_is_not_trained_twice(self, served: Home) -> None:
        assert served.run("train", "--run", "20300303T000000Z").returncode == 10


def decided(home: Home) -> int:
    return sum(path.read_bytes().count(b"\n") for path in home.folder.glob("training_data/harvest_*.jsonl"))


def harvested(home: Home) -> list[str]:
    mine = {row["id"] for row in home.lines("logs/interactions/*.jsonl") if row["kind"] == "interaction"}
    ids = [row["interaction_id"] for row in home.lines("training_data/harvest_*.jsonl")]
    return [identity for identity in ids if identity in mine]


def adapter_hash(home: Home, run: str) -> str:
    manifest = json.loads((home.folder / "loras" / run / "generation.json").read_text())
    return str(manifest["sha256"]["adapter_model.safetensors"])


class TestTraining:
    def test_manifest_holds_what_the_adapter_came_from(self, served: Home) -> None:
        folder = served.folder / "loras" / "20300303T000000Z"
        manifest = json.loads((folder / "generation.json").read_text())
        assert manifest["base"]["sha256"] == served.health()["base_sha256"]
        assert manifest["metrics"]["steps"] == 24
        assert manifest["metrics"]["supervised_tokens"] > 0
        assert manifest["dataset"]["rows"] == 96
        assert len((folder / "interaction_ids.jsonl").read_text().splitlines()) == 96
        curve = [json.loads(line) for line in (folder / "training_curve.jsonl").read_text().splitlines()]
        assert {"step", "loss", "learning_rate", "grad_norm"} <= set(curve[0])
        assert "peft" in manifest["versions"]
        assert (folder / "adapter_model.safetensors").stat().st_mode & 0o444 == 0o444

    def test_quantized_base_trains(self, served: Home) -> None:
        rows = [(task, candidates.right(task)) for task in candidates.tasks_of("nf4", 32, (1,))]
        candidates.write_dataset(served, "20300304T000000Z", rows)
        flags = ("--set", "model.quantization=nf4", "--set", "train.epochs=3")
        done = served.run(*flags, "train", "--run", "20300304T000000Z")
        assert done.returncode == 0, done.stderr
        manifest = json.loads((served.folder / "loras" / "20300304T000000Z" / "generation.json").read_text())
        assert manifest["base"]["quantization"] == "nf4"

    def test_evening_preset_continues_the_current_adapter(self, home: Home) -> None:
        rows = [(task, candidates.right(task)) for task in candidates.tasks_of("evening", 16, (1,))]
        first, second = "20300305T000000Z", "20300306T000000Z"
        candidates.write_dataset(home, first, rows)
        assert home.run("--set", "train.epochs=3", "train", "--run", first).returncode == 0
        (home.folder / "loras" / "current").symlink_to(first)
        candidates.write_dataset(home, second, rows[:8])
        assert home.run("--set", "train.preset=evening", "train", "--run", second).returncode == 0
        manifest = json.loads((home.folder / "loras" / second / "generation.json").read_text())
        assert (manifest["parent"], manifest["continues"]) == (first, True)
        assert len((home.folder / "loras" / second / "interaction_ids.jsonl").read_text().splitlines()) == 16


class TestBadInput:
    @pytest.mark.parametrize(
        ("flags", "code", "words"),
        [
            (("--set", "model.base=models/nowhere", "train"), 78, "no base model"),
            (("--set", "night.minimum_disk_gb=1e9", "train"), 74, "GB free"),
            (("--set", "train.epoch=2", "train"), 78, "did you mean 'epochs'"),
        ],
    )
    def test_training_refuses_what_it_cannot_use(
        self, home: Home, flags: tuple[str, ...], code: int, words: str
    ) -> None:
        rows = [(task, candidates.right(task)) for task in candidates.tasks_of("bad", 8, (1,))]
        candidates.write_dataset(home, "20300401T000000Z", rows)
        done = home.run(*flags)
        assert done.returncode == code
        assert words in done.stderr
        assert not list((home.folder / "loras").glob("2*"))

    def test_night_needs_its_server(self, home: Home) -> None:
        done = home.night()
        assert done.returncode == 69
        assert "no answer from the gateway" in done.stderr

    def test_night_needs_disk(self, home: Home) -> None:
        assert home.night(NIGHTSCHOOL_NIGHT__MINIMUM_DISK_GB="1e9").returncode == 74

    def test_second_night_at_the_same_time_is_busy(self, home: Home) -> None:
        with (home.folder / "logs" / "night.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert home.night().returncode == 75

    def test_second_stage_at_the_same_time_is_busy(self, home: Home) -> None:
        with (home.folder / "logs" / "harvest.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert home.run("harvest").returncode == 75

    def test_a_rollback_waits_for_the_deployment_that_is_under_way(self, home: Home) -> None:
        with (home.folder / "logs" / "serving.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = home.run("rollback")
        assert done.returncode == 75
        assert "deploy, rollback or switch-base is already running" in done.stderr

    def test_broken_line_is_named_and_the_rest_goes_on(self, home: Home) -> None:
        log(home, edited(1))
        with next((home.folder / "logs" / "interactions").glob("*.jsonl")).open("a") as file:
            file.write('{"kind": "interaction", \n')
        log(home, edited(2))
        done = home.run("harvest")
        assert done.returncode == 0
        assert "line 2" in done.stderr
        assert len(home.lines("training_data/harvest_????????.jsonl")) == 2

    def test_changed_dataset_is_refused(self, home: Home) -> None:
        rows = [(task, candidates.right(task)) for task in candidates.tasks_of("bad", 8, (1,))]
        candidates.write_dataset(home, "20300402T000000Z", rows)
        with (home.folder / "training_data" / "20300402T000000Z" / "sft.jsonl").open("a") as file:
            file.write("{}\n")
        assert home.run("train", "--run", "20300402T000000Z").returncode == 64

    def test_killed_while_writing_leaves_no_half_generation(self, home: Home, tmp_path: Path) -> None:
        (home.folder / "loras" / "20300403T000000Z").mkdir()
        (home.folder / "loras" / "20300403T000000Z" / "adapter_model.safetensors").write_bytes(b"half")
        assert home.run("canary", "--candidate", "20300403T000000Z").returncode == 64
        assert home.result("status")["generations"] == []


def test_openai_jsonl_is_harvested_too(served: Home) -> None:
    for path in (served.folder / "logs" / "interactions").glob("*.jsonl"):
        path.unlink()
    task = candidates.tasks_of("jsonl", 1, (1,))[0]
    rows = [
        {"messages": [*task.messages, {"role": "assistant", "content": "HALT"}], "check": task.check, "success": False},
        {"prompt": "Capital of France?", "completion": "Rome", "feedback": {"thumb": -1, "edited": "Paris"}},
        {"prompt": "Capital of Italy?", "completion": "Paris", "thumb": -1},
        {"prompt": "Capital of Spain?", "completion": "Madrid", "thumb": 1},
    ]
    (served.folder / "export.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = len(served.lines("training_data/harvest_????????.jsonl"))
    served.environment = {"NIGHTSCHOOL_HARVEST__OPENAI_JSONL": "export.jsonl"}
    try:
        found = served.result("harvest")
    finally:
        served.environment = {}
    assert (found["failures"], found["worked_on"]) == (3, 3)
    outputs = [row["output"] for row in served.lines("training_data/harvest_????????.jsonl")[before:]]
    assert len(outputs) == 2
    assert "Paris" in outputs
    reasons = [row["reason"] for row in served.lines("training_data/harvest_*.unsolved.jsonl")]
    assert any("nothing to verify" in reason for reason in reasons)
