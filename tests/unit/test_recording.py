import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.evolution import history
from pipeline.lib import generations, jsonl, permission, runs
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import BusyError, DiskError, NothingToDo, Refused, RolledBack, UsageError
from pipeline.lib.files import point, write_json
from pipeline.lib.generations import ADAPTER_FILE, MANIFEST, PROMOTED, VERDICT
from pipeline.metrics.rows import EvolutionMetric, FeedbackMetric, QueryMetric
from pipeline.metrics.store import MetricsStore, reading
from pipeline.recording.nights import evolution_of
from pipeline.recording.rebuild import rebuild
from pipeline.recording.snapshots import snapshot_of
from pipeline.recording.stages import recording, strategies

NIGHT = "20261120T020000Z"
SECRET = "my password is hunter2"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, server={"port": 9})


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    with reading(settings.layout.metrics) as db:
        return [dict(row) for row in db.execute(f"SELECT * FROM {table}")]


def ran(settings: Settings, stage: str, ending: BaseException | None = None, run: str = NIGHT, **outputs: Any) -> None:
    with (
        contextlib.suppress(*([type(ending)] if ending else [])),
        recording(settings, run, stage) as recorded,
        runs.recorded(settings.layout, run, stage) as line,
    ):
        line.outputs = recorded.outputs = outputs
        if ending:
            raise ending


def trained(settings: Settings, identity: str = NIGHT) -> generations.Generation:
    manifest = {
        "id": identity,
        "sha256": {ADAPTER_FILE: "0" * 64},
        "config": {"method": "kto"},
        "dataset": {"rows": 120},
        "metrics": {"loss": 0.25},
    }
    write_json(settings.layout.generation(identity) / MANIFEST, manifest)
    point(settings.layout.latest, identity)
    return generations.read(settings.layout, identity)


def judged(settings: Settings, outcome: str, identity: str = NIGHT, incumbent: str = "base") -> None:
    sides = {"incumbent": {"success": 0.5}, "candidate": {"success": 0.75}}
    verdict = {
        "candidate": identity,
        "incumbent": incumbent,
        "outcome": outcome,
        "suites": {"holdout": {"n": 40, **sides}},
        "checks": [{"name": "overall", "n": 50, "wins": 12, "losses": 2}],
        "categories": {"functionality": sides, "performance": {"n": 12, "ratio": 1.25}},
    }
    write_json(settings.layout.generation(identity) / VERDICT, verdict)


def swapped(settings: Settings, identity: str, reason: str) -> None:
    generations.make_current(settings.layout, generations.read(settings.layout, identity), reason, NIGHT)


def test_a_stage_ends_as_it_did_though_its_line_cannot_be_written(settings: Settings):
    settings.layout.runs.mkdir(parents=True)
    with pytest.raises(RolledBack), runs.recorded(settings.layout, NIGHT, "deploy"):
        raise RolledBack("it failed")
    with pytest.raises(DiskError), runs.recorded(settings.layout, NIGHT, "deploy"):
        pass


@pytest.mark.parametrize(
    ("ending", "severity", "code"),
    [
        (None, "info", 0),
        (NothingToDo(SECRET), "info", 10),
        (Refused(SECRET), "info", 20),
        (RolledBack(SECRET), "warning", 30),
        (BusyError(SECRET), "warning", 75),
        (UsageError(SECRET), "warning", 64),
        (DiskError(SECRET), "error", 74),
        (ValueError(SECRET), "error", 70),
        (KeyboardInterrupt(SECRET), "error", 70),
    ],
)
def test_every_stage_leaves_an_event_with_its_ending_and_no_word_of_anybody(
    settings: Settings, ending: BaseException | None, severity: str, code: int
):
    ran(settings, "prune", ending, note=SECRET, removed=3)
    (event,) = rows(settings, "system_events")
    assert (event["kind"], event["name"], event["run"]) == ("stage", "prune", NIGHT)
    assert (event["severity"], event["exit_code"]) == (severity, code)
    assert event["message"] == ("done" if ending is None else type(ending).__name__)
    assert json.loads(event["details"]) == {"removed": 3}
    assert abs(event["at"] - time.time()) < 60
    assert "hunter2" not in json.dumps(rows(settings, "system_events") + rows(settings, "evolution_metrics"))


def test_the_stages_of_a_night_write_one_row_and_the_later_ones_know_more(settings: Settings):
    def statuses() -> list[str]:
        return [row["status"] for row in rows(settings, "evolution_metrics")]

    ran(settings, "harvest")
    ran(settings, "build-dataset")
    assert statuses() == ["nothing"]
    trained(settings)
    ran(settings, "train")
    assert statuses() == ["trained"]
    first = rows(settings, "evolution_metrics")[0]
    assert first["memory_used_mb"] > 1
    judged(settings, "pass")
    ran(settings, "canary", candidate=NIGHT)
    assert statuses() == ["trained"]
    swapped(settings, NIGHT, PROMOTED)
    ran(settings, "deploy", **{"from": "base", "to": NIGHT})
    (row,) = rows(settings, "evolution_metrics")
    assert (row["status"], row["run"], row["generation"], row["evolution_type"]) == ("deployed", NIGHT, NIGHT, "kto")
    assert (row["performance_before"], row["performance_after"], row["improvement"]) == (0.5, 0.75, 0.25)
    assert (row["samples"], row["loss"], row["error"]) == (120, 0.25, None)
    assert row["memory_used_mb"] == first["memory_used_mb"]
    lines = list(jsonl.read(settings.layout.runs))
    assert row["seconds"] == pytest.approx(sum(line["seconds"] for line in lines))
    assert row["started_at"] == lines[0]["at"]


def test_the_rounds_of_a_night_are_one_row_with_the_last_generation(settings: Settings):
    trained(settings)
    ran(settings, "train")
    trained(settings, f"{NIGHT}-2")
    ran(settings, "train", run=f"{NIGHT}-2")
    judged(settings, "fail", f"{NIGHT}-2")
    ran(settings, "canary", Refused("worse"), run=f"{NIGHT}-2")
    (row,) = rows(settings, "evolution_metrics")
    assert (row["run"], row["generation"], row["status"]) == (NIGHT, f"{NIGHT}-2", "refused")


@pytest.mark.parametrize("stage", ["harvest", "build-dataset", "train"])
def test_a_further_round_that_fails_ends_no_night(settings: Settings, stage: str):
    trained(settings, f"{NIGHT}-2")
    ran(settings, "train", run=f"{NIGHT}-2")
    ran(settings, stage, DiskError("full"), run=f"{NIGHT}-10")
    (row,) = rows(settings, "evolution_metrics")
    assert (row["status"], row["error"]) == ("trained", None)
    ran(settings, "canary", DiskError("full"), run=f"{NIGHT}-2")
    (row,) = rows(settings, "evolution_metrics")
    assert (row["status"], row["error"]) == ("failed", "disk")


@pytest.mark.parametrize(
    ("stage", "ending", "outcome", "status", "error"),
    [
        ("canary", Refused("worse"), "fail", "refused", None),
        ("deploy", Refused("failed on its share of the traffic"), "pass", "refused", None),
        ("canary", DiskError("full"), None, "failed", "disk"),
        ("train", NothingToDo("trained already"), None, "trained", None),
        ("canary", UsageError("no such candidate"), None, "trained", None),
    ],
)
def test_a_night_is_what_its_last_stage_made_of_it(
    settings: Settings, stage: str, ending: BaseException, outcome: str | None, status: str, error: str | None
):
    trained(settings)
    if outcome:
        judged(settings, outcome)
    ran(settings, stage, ending)
    (row,) = rows(settings, "evolution_metrics")
    assert (row["status"], row["error"]) == (status, error)


def test_a_mistyped_command_is_no_attempt(settings: Settings):
    ran(settings, "train", UsageError("no dataset"))
    assert rows(settings, "evolution_metrics") == []
    assert len(rows(settings, "system_events")) == 1


def test_a_persons_no_makes_the_night_a_refused_one(settings: Settings):
    candidate = trained(settings)
    judged(settings, "pass")
    ran(settings, "canary", candidate=NIGHT)
    permission.reject(candidate, generations.incumbent(settings.layout), "ann", "no")
    ran(settings, "reject", run="20261121T090000Z", candidate=NIGHT)
    assert [row["status"] for row in rows(settings, "evolution_metrics")] == ["refused"]


def test_a_return_marks_the_night_of_what_was_given_up(settings: Settings):
    later = "20261122T020000Z"
    for identity in (NIGHT, later):
        trained(settings, identity)
        swapped(settings, identity, PROMOTED)
        ran(settings, "deploy", run=identity)
    swapped(settings, NIGHT, "rolled back: asked for by hand")
    ran(settings, "rollback", run="20261123T100000Z", **{"from": later, "to": NIGHT})
    found = {row["run"]: row["status"] for row in rows(settings, "evolution_metrics")}
    assert found == {NIGHT: "deployed", later: "rolled_back"}
    swapped(settings, later, "rolled back: that was wrong")
    assert [evolution_of(settings, each).status for each in (NIGHT, later)] == ["deployed", "deployed"]


def test_an_older_candidate_that_failed_in_service_is_marked_though_a_newer_one_comes_back(settings: Settings):
    later = "20261122T020000Z"
    for identity in (NIGHT, later):
        trained(settings, identity)
    swapped(settings, later, PROMOTED)
    swapped(settings, NIGHT, PROMOTED)
    swapped(settings, later, "rolled back: it failed its watch")
    ran(settings, "deploy", RolledBack("failed"), **{"from": NIGHT, "to": later})
    found = {row["run"]: row["status"] for row in rows(settings, "evolution_metrics")}
    assert found == {NIGHT: "rolled_back", later: "deployed"}


def test_another_base_model_does_not_undo_a_deployment(settings: Settings):
    trained(settings)
    swapped(settings, NIGHT, PROMOTED)
    generations.make_current(settings.layout, generations.bare_base(settings.layout), "switched to base model x", NIGHT)
    assert evolution_of(settings, NIGHT).status == "deployed"


def test_the_kpis_are_those_of_what_serves_and_of_the_last_night(settings: Settings):
    trained(settings)
    judged(settings, "fail")
    write_json(settings.layout.training_data / "harvest_20261120.json", {"rewrites": 3, "unsolved": 1, "worked_on": 4})
    ran(settings, "harvest", manifest="training_data/harvest_20261120.json")
    now = time.time()
    with MetricsStore(settings.layout.metrics) as store:
        store.add(QueryMetric("a", now, "starter", "base", 1000.0, 100.0, 20, 0.5))
        store.add(QueryMetric("b", now, "starter", "base", 3000.0, error="EngineError"))
        store.add(FeedbackMetric("a", now, "starter", thumb=1, success=True))
        store.add(FeedbackMetric("b", now, "starter", edited=True, success=False))
    ran(settings, "canary", Refused("worse"))
    (refused,) = rows(settings, "kpi_snapshots")
    assert (refused["held_out_success"], refused["functionality"], refused["performance"]) == (0.5, 0.5, 1.0)
    assert (refused["retention"], refused["rewrite_success_rate"], refused["training_loss"]) == (0.96, 0.75, 0.25)
    assert (refused["improvement"], refused["live_success_rate"], refused["satisfaction_rate"]) == (0.25, 0.5, 0.5)
    assert (refused["error_rate"], refused["latency_ms"], refused["first_token_ms"]) == (0.5, 2000.0, 100.0)
    assert (refused["tokens_per_second"], refused["confidence"]) == (5.0, 0.5)
    assert (refused["safety"], refused["quality"], refused["instruction_following"]) == (None, None, None)
    swapped(settings, NIGHT, PROMOTED)
    ran(settings, "deploy")
    serving = rows(settings, "kpi_snapshots")[-1]
    assert (serving["held_out_success"], serving["functionality"], serving["performance"]) == (0.75, 0.75, 0.8)


def test_without_any_night_no_kpi_is_made_up(settings: Settings):
    with reading(settings.layout.metrics) as db:
        assert snapshot_of(settings, db, None, 1.0).measured() == {}


def test_a_candidate_that_could_not_be_loaded_has_no_figures(settings: Settings):
    trained(settings)
    verdict = {"candidate": NIGHT, "incumbent": "base", "outcome": "fail", "checks": [], "categories": {}}
    write_json(settings.layout.generation(NIGHT) / VERDICT, verdict)
    ran(settings, "canary", Refused("torn"))
    (row,) = rows(settings, "evolution_metrics")
    assert (row["status"], row["performance_after"], row["improvement"]) == ("refused", None, None)
    assert rows(settings, "kpi_snapshots")[0]["held_out_success"] is None


def test_strategies_are_counted_over_all_nights(settings: Settings):
    tries = [("p", 1.0, True), ("p", 1.0, False), ("p", 0.7, False), ("q", 1.0, True)]
    attempts = [
        history.Attempt(pattern, "logic", "starter", heat, 0.9, 8, 8, int(ok), int(ok), ok, f"f{number}", number, NIGHT)
        for number, (pattern, heat, ok) in enumerate(tries)
    ]
    history.append(settings.layout.patterns, [], attempts)
    ran(settings, "harvest")
    found = {(each["pattern"], each["strategy"]): each for each in rows(settings, "evolution_strategies")}
    assert {key: (each["attempts"], each["successes"]) for key, each in found.items()} == {
        ("p", "temperature 1, top-p 0.9"): (2, 1),
        ("p", "temperature 0.7, top-p 0.9"): (1, 0),
        ("q", "temperature 1, top-p 0.9"): (1, 1),
    }
    assert len(list(strategies(settings))) == 3


@pytest.mark.parametrize("ending", [None, NothingToDo("quiet"), DiskError("full")])
def test_what_cannot_be_recorded_is_a_warning_and_the_stage_ends_as_it_would(
    settings: Settings, ending: BaseException | None, caplog: pytest.LogCaptureFixture
):
    (settings.layout.generation(NIGHT)).mkdir(parents=True)
    (settings.layout.generation(NIGHT) / MANIFEST).write_text("no JSON")
    with pytest.raises(type(ending)) if ending else contextlib.nullcontext(), recording(settings, NIGHT, "train"):
        if ending:
            raise ending
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "not all of train is recorded" in warnings[0].message


def test_a_store_that_cannot_be_written_does_not_stop_a_stage(settings: Settings, caplog: pytest.LogCaptureFixture):
    settings.layout.metrics.mkdir(parents=True)
    ran(settings, "prune")
    assert caplog.records
    assert [line["exit_code"] for line in jsonl.read(settings.layout.runs)] == [0]


def test_a_corrupt_store_is_kept_aside_and_the_stage_is_recorded_in_a_new_one(settings: Settings):
    settings.layout.logs.mkdir()
    settings.layout.metrics.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    ran(settings, "canary", Refused("worse"))
    assert [event["name"] for event in rows(settings, "system_events")] == ["canary"]
    assert len(rows(settings, "kpi_snapshots")) == 1
    assert len(list(settings.layout.logs.glob("metrics.sqlite.corrupt-*"))) == 1


def test_a_rebuild_reads_every_night_and_keeps_what_only_the_store_knows(settings: Settings):
    pruned = "20261101T020000Z"
    gone = EvolutionMetric("starter", pruned, "dpo", "deployed", 1.0, 60.0, pruned, 0.5, 0.6, 0.1)
    with MetricsStore(settings.layout.metrics) as store:
        store.add(gone)
    trained(settings)
    judged(settings, "inconclusive")
    jsonl.append(
        settings.layout.runs,
        [
            {"run": run, "stage": stage, "status": "done", "exit_code": 0, "at": 5.0, "seconds": 2.0, "outputs": {}}
            for run in (pruned, NIGHT)
            for stage in ("harvest", "train")
        ],
    )
    assert rebuild(settings)["nights"] == 1
    found = {row["run"]: row for row in rows(settings, "evolution_metrics")}
    assert (found[pruned]["status"], found[pruned]["evolution_type"]) == ("deployed", "dpo")
    assert (found[NIGHT]["status"], found[NIGHT]["seconds"]) == ("inconclusive", 4.0)


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTSCHOOL_")}
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--home", str(home), *arguments],
        env={**inherited, "NIGHTSCHOOL_SERVER__PORT": "9"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_stages_of_the_command_line_record_themselves_and_dry_runs_do_not(settings: Settings):
    home = settings.home
    assert command(home, "harvest", "--dry-run").returncode == 0
    assert not settings.layout.metrics.exists()
    assert command(home, "harvest").returncode == 10
    assert command(home, "versions", "prune").returncode == 0
    model = home / "models" / "starter"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"weights")
    manifest = {"id": NIGHT, "parent": "base", "sha256": {}, "base": {"sha256": base_sha256(str(model))}}
    write_json(settings.layout.generation(NIGHT) / MANIFEST, manifest)
    point(settings.layout.latest, NIGHT)
    swapped(settings, NIGHT, PROMOTED)
    done = command(home, "rollback", "--reason", SECRET)
    assert done.returncode == 0, done.stderr
    events = rows(settings, "system_events")
    assert [(each["name"], each["message"], each["exit_code"]) for each in events] == [
        ("harvest", "NothingToDo", 10),
        ("prune", "done", 0),
        ("rollback", "done", 0),
    ]
    assert "hunter2" not in json.dumps(events)
    nights = {row["run"]: row["status"] for row in rows(settings, "evolution_metrics")}
    assert nights == {events[0]["run"]: "nothing", NIGHT: "rolled_back"}
    assert [each["stage"] for each in rows(settings, "resource_samples")] == ["harvest", "harvest"]
