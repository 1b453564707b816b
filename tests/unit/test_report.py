import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from played import (
    AWAITING,
    DEPLOYED,
    FAILED,
    FIRST,
    INCONCLUSIVE,
    MORNING,
    NOTHING,
    REFUSED,
    ROLLED_BACK,
    SECOND,
    THIRD,
    home_of,
    play,
)

from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import UsageError
from pipeline.lib.files import write_json
from pipeline.metrics.rows import EvolutionMetric, FeedbackMetric, KpiSnapshot, QueryMetric, Strategy
from pipeline.metrics.store import MetricsStore
from pipeline.report import evolution_report, report, week
from pipeline.reporting.story import show
from pipeline.reporting.week import show_week

RUN = "20261120T020000Z"


def test_the_morning_reader_sees_what_was_not_read_and_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    manifest = "training_data/harvest_20261120.json"
    outputs = {"failures": 9, "rewrites": 6, "unsolved": 3, "left": 0, "manifest": manifest}
    line = {"run": RUN, "stage": "harvest", "exit_code": 0, "seconds": 1.0, "outputs": outputs}
    jsonl.append(tmp_path / "logs" / "runs.jsonl", [line])
    problem = {"reason": "not JSON", "count": 2, "places": ["2026-11-20.jsonl line 7"]}
    write_json(tmp_path / manifest, {"unreadable": {"llm:logs.db": "it is locked"}, "problems": {"gateway": [problem]}})
    counts = {"new": 5, "rewrites": 5, "replay": 5, "dropped": {"empty answer": 1}, "removed": {"EMAIL": 3}}
    write_json(tmp_path / "training_data" / RUN / "dataset.json", counts)
    settings = Settings(home=tmp_path, server={"port": 9})
    show(report(settings, None))
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in (
        "llm:logs.db: it is locked",
        "gateway: 2 × not JSON (2026-11-20.jsonl line 7)",
        "1 × empty answer",
        "3 × EMAIL",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("ending", "headline", "step"),
    [
        (DEPLOYED, f"better: 50.0 → 60.0 % of 400 held-out questions right, deployed, serving {FIRST}", "rollback"),
        (REFUSED, f"refused, nothing changed, because {REFUSED[3]}; serving base", "the next night tries again"),
        (INCONCLUSIVE, "too little evidence, nothing changed, because", "more canary tasks"),
        (AWAITING, "better: 50.0 → 60.0 % of 400 held-out questions right, awaiting approval", "nightschool approve"),
        (ROLLED_BACK, "deployed, failed, rolled back, because", "rollback_summary.json"),
        (NOTHING, "nothing to learn, nothing changed, because 1 new rewrite, 5 needed", "nothing to do"),
        (
            FAILED,
            "failed in harvest (exit 69), nothing changed, because the gateway answered 502",
            "nightschool doctor",
        ),
    ],
)
def test_the_first_line_says_how_the_night_ended_and_the_last_what_to_do(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ending: Any,
    headline: str,
    step: str,
):
    settings = home_of(tmp_path)
    play(settings.layout, FIRST, ending)
    if ending == AWAITING:
        write_json(settings.layout.generation(FIRST) / "approval.json", {"state": "awaiting", "until": 4e9})
    current = FIRST if ending == DEPLOYED else "base"
    monkeypatch.setattr("pipeline.report._server", lambda _: {"adapter": current, "adapter_sha256": None})
    story = report(settings, None)
    show(story)
    told = capsys.readouterr().out.splitlines()
    assert " ".join(" ".join(told[:3]).split()).startswith(headline)
    assert any(line.startswith("next: ") for line in told)
    assert step in story["next_step"]


def test_an_approval_that_ran_out_is_no_want_of_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    settings = home_of(tmp_path)
    play(settings.layout, FIRST, AWAITING)
    write_json(settings.layout.generation(FIRST) / "approval.json", {"state": "awaiting", "until": 1.0})
    monkeypatch.setattr("pipeline.report._server", lambda _: {"adapter": "base", "adapter_sha256": None})
    story = report(settings, FIRST)
    assert story["headline"] == "passed, nobody approved it in time, nothing changed; serving base"
    assert story["next_step"].endswith("shows the answers of both")
    show_week(week(settings, 7, MORNING))
    assert "not approved in time" in capsys.readouterr().out


def test_an_approved_candidate_is_not_told_as_one_that_nobody_approved(tmp_path: Path):
    settings = home_of(tmp_path)
    play(settings.layout, FIRST, AWAITING)
    write_json(settings.layout.generation(FIRST) / "approval.json", {"state": "approved"})
    assert report(settings, FIRST)["headline"].startswith("not finished: deploy was the last stage that ended")


def test_better_is_said_only_of_a_difference_that_is_more_than_chance(tmp_path: Path):
    settings = home_of(tmp_path)
    play(settings.layout, FIRST, surely=False)
    assert report(settings, None)["headline"].startswith("no worse: 50.0 → 60.0 %")


def test_a_server_that_is_down_or_answers_with_another_model_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = home_of(tmp_path)
    play(settings.layout, FIRST)
    monkeypatch.setattr("pipeline.report._server", lambda _: None)
    assert report(settings, None)["next_step"].startswith("the server is down: `nightschool serve`")
    monkeypatch.setattr("pipeline.report._server", lambda _: {"adapter": "base", "adapter_sha256": None})
    assert report(settings, None)["next_step"] == f"the server answers with base, not with {FIRST}: restart it"


def test_what_others_wrote_does_nothing_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = home_of(tmp_path)
    play(settings.layout, FIRST, ("harvest", "failed", 70, "\x1b[2J[bold]oh[/bold]\nno\x07"))
    show(report(settings, None))
    show_week(week(settings, 7, MORNING))
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\x07" not in told
    assert told.count("␛[2J[bold]oh[/bold] ⏎ no␇") >= 2


def test_a_week_tells_its_nights_in_their_order_and_what_was_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = home_of(tmp_path)
    for run, ending in ((THIRD, DEPLOYED), (FIRST, DEPLOYED), (SECOND, REFUSED), ("20261101T020000Z", DEPLOYED)):
        play(settings.layout, run, ending)
    with MetricsStore(settings.layout.metrics) as store:
        for number in range(40):
            error = "TimeoutError" if number < 12 else None
            store.add(QueryMetric(f"{number:024x}", MORNING, "starter", latency_ms=5000.0, error=error))
        store.add(FeedbackMetric("0", MORNING, "starter", thumb=-1))
    found = week(settings, 7, MORNING)
    assert [each["night"] for each in found["nights"]] == [FIRST, SECOND, THIRD]
    assert [each["kind"] for each in found["nights"]] == ["deployed", "refused", "deployed"]
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found, default=str))
    show_week(found)
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("7 days to 2026-11-20: 40 requests, 30.0 % failed, 5,000 ms on average, 0 % of 1 opinions")
    assert "next: latency missed its target" in told
    assert "next: errors missed its target" in told


def test_what_is_no_night_is_said(tmp_path: Path):
    settings = home_of(tmp_path)
    with pytest.raises(UsageError, match="no night yet"):
        report(settings, None)
    play(settings.layout, FIRST)
    with pytest.raises(UsageError, match=f"no night {SECOND}"):
        report(settings, SECOND)


def run_command(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipeline.cli", "--home", str(home), "--set", "server.port=9", "report"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_the_command_writes_pages_and_prints_json(tmp_path: Path):
    play(home_of(tmp_path).layout, FIRST)
    page = tmp_path / "page.html"
    assert run_command(tmp_path, "--html", str(page), "--days", "3").returncode == 0
    assert page.read_text().startswith("<!doctype html>")
    printed = json.loads(run_command(tmp_path, "--evolution", "-").stdout)
    assert run_command(tmp_path, "--evolution", str(tmp_path / "evolution.json")).returncode == 0
    assert json.loads((tmp_path / "evolution.json").read_text())["attempts"] == printed["attempts"]
    assert json.loads(run_command(tmp_path, "--days", "7", "--json").stdout)["days"] == 7


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--days", "7", "--run", FIRST), 64, "--run is one night, --days are several"),
        (("--evolution", "-", "--days", "7"), 64, "--evolution stands alone"),
        (("--html", "taken/page.html"), 74, "cannot write taken/page.html"),
        (("--evolution", "taken/evolution.json"), 74, "cannot write taken/evolution.json"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
):
    play(home_of(tmp_path).layout, FIRST)
    (tmp_path / "taken").write_text("a file, no folder")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    done = run_command(tmp_path, *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("filled", [False, True])
def test_the_evolution_report_is_as_its_schema_says(tmp_path: Path, filled: bool):
    settings = home_of(tmp_path)
    if filled:
        with MetricsStore(settings.layout.metrics) as store:
            for number, (status, before, after) in enumerate(
                [("deployed", 0.5, 0.6), ("refused", 0.6, 0.5), ("failed", None, None), ("deployed", 0.6, 0.7)]
            ):
                run = f"2026111{number}T020000Z"
                better = None if before is None else after - before
                row = EvolutionMetric("starter", run, "sft", status, MORNING - 86_400 * (4 - number), 300.0)
                values = {"performance_before": before, "performance_after": after, "improvement": better}
                store.add(replace(row, generation=run, **values))
            store.add(Strategy("starter", "3 operations", "4 samples", 20, 12, MORNING))
            store.add(KpiSnapshot("starter", MORNING, held_out_success=0.7, error_rate=0.2))
    told = json.loads(json.dumps(evolution_report(settings, MORNING)))
    schema = json.loads((Path(__file__).parents[2] / "docs" / "evolution-report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(told, schema, jsonschema.Draft202012Validator)
    if not filled:
        assert (told["attempts"]["total"], told["kpis"]["overall_performance"]) == (0, None)
        return
    assert (told["attempts"]["total"], told["attempts"]["deployed"]) == (4, 2)
    assert [each["serving"] for each in told["trajectory"]] == [0.6, 0.6, 0.7]
    assert told["kpis"]["values"]["error_rate"]["reached"] is False
    assert told["kpis"]["values"]["safety"]["value"] is None
    assert told["strategies"][0]["rate"] == 0.6
