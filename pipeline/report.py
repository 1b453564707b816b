"""report: the story of one night, of a week, as a page to keep, and of the evolution so far.

reads   `logs/runs.jsonl`, `logs/metrics.sqlite`, the manifests of harvests, datasets and generations, `verdict.json`,
        `canary.jsonl`, `training_curve.jsonl`, `deployment.json`; asks the gateway what it serves
writes  only the file that it is given
"""

import time
from pathlib import Path
from typing import Any

import orjson

from pipeline.lib import generations, jsonl, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, UsageError
from pipeline.lib.files import read_json, write_bytes
from pipeline.metrics import traffic
from pipeline.metrics.store import reading
from pipeline.reporting import evolution, nights, page, targets, words

DAYS = 7


def report(settings: Settings, run: str | None) -> dict[str, Any]:
    """What happened in a run, with numbers; `headline` and `next_step` say it in words.

    Raises:
        UsageError: no such run, or no night yet.
    """
    layout = settings.layout
    known = [line["run"] for line in jsonl.read(layout.runs) if line["stage"] in nights.STAGES]
    if not known or (run and run not in known):
        raise UsageError(f"no night {run or 'yet'}", "`make night` plays one; `nightschool status` lists what there is")
    stages = [line for line in runs.of_night(layout, run or known[-1]) if line["stage"] in nights.STAGES]
    night = nights.night(layout, stages)
    run = str(night["run"])
    folder = layout.generation(run)
    outputs = {line["stage"]: line["outputs"] for line in stages}
    files = {
        "harvest": settings.home / outputs.get("harvest", {}).get("manifest", "none"),
        "dataset": layout.dataset(run) / "dataset.json",
        "generation": folder / generations.MANIFEST,
        "verdict": folder / generations.VERDICT,
        "deployment": folder / generations.DEPLOYMENT,
    }
    current, server = generations.incumbent(layout).id, _server(settings)
    return {
        "run": run,
        "headline": words.headline(night, current),
        "next_step": words.before_all(server, current) or words.next_step(night, current),
        "night": night,
        "stages": stages,
        "outputs": outputs,
        **{name: read_json(path) if path.is_file() else None for name, path in files.items()},
        "server": server,
    }


def week(settings: Settings, days: int, now: float | None = None) -> dict[str, Any]:
    """The last days: traffic against its targets, satisfaction, trends, and the nights with their verdicts."""
    now = time.time() if now is None else now
    with reading(settings.layout.metrics) as db:
        seen = traffic.week(db, days, now)
    current = generations.incumbent(settings.layout).id
    told = nights.nights(settings.layout, since=now - days * 86_400)
    return {
        **seen,
        "targets": targets.compared(settings.report, settings.retrieval, seen),
        "serving": current,
        "nights": [{**each, "headline": words.headline(each, current)} for each in told],
    }


def write_page(settings: Settings, path: Path, days: int, run: str | None, now: float | None = None) -> dict[str, Any]:
    """Write the page about the installation, its latest night (or that of `run`) and its last days.

    Raises:
        UsageError: no such run.
        DiskError: the file cannot be written; what was there before is still there.
    """
    now = time.time() if now is None else now
    story = _story(settings, run)
    content = page.render(settings.layout, settings.model.name, story, week(settings, days, now), now)
    write_bytes(path, content)
    return {"page": str(path), "bytes": len(content), "night": story and story["run"], "days": days}


def evolution_report(settings: Settings, now: float | None = None) -> dict[str, Any]:
    """The evolution of the model so far, as docs/evolution-report.schema.json describes it."""
    least, target = settings.dataset.min_failures_to_train, settings.deploy.rollback_threshold_success
    with reading(settings.layout.metrics) as db:
        return evolution.told(db, settings.model.name, time.time() if now is None else now, least, target)


def write_evolution_report(settings: Settings, path: Path) -> dict[str, Any]:
    """Write it into a file.

    Raises:
        DiskError: the file cannot be written; what was there before is still there.
    """
    told = evolution_report(settings)
    write_bytes(path, orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return {"report": str(path), "attempts": told["attempts"]["total"]}


def _story(settings: Settings, run: str | None) -> dict[str, Any] | None:
    """The night, none before the first one: there may have been days."""
    try:
        return report(settings, run)
    except UsageError:
        if run is not None:
            raise
        return None


def _server(settings: Settings) -> dict[str, Any] | None:
    from pipeline.backends.gateway_client import GatewayClient  # its requests library: a week does without

    try:
        return GatewayClient(settings, timeout=5).health()
    except NightschoolError:
        return None
