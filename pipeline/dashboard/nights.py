"""Every night and what came of it; every generation and what may be done with it.

reads   `logs/runs.jsonl`, the ledger, `loras/`
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from typing import Any

from pipeline.dashboard.shapes import Action, GenerationRow, Json, Night, Outcome
from pipeline.lib import generations, jsonl, lineage, permission, pins, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import ExitCode, NightschoolError
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.layout import Layout

STAGES = ("harvest", "build-dataset", "train", "canary", "deploy")

_SHOWN = ("run", "stage", "status", "exit_code", "at", "seconds", "message")
_ENDINGS: dict[int, Outcome] = {
    ExitCode.NOTHING_TO_DO: "nothing",
    ExitCode.REFUSED: "refused",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.ROLLED_BACK: "rolled_back",
}


def lines(layout: Layout) -> list[Json]:
    """What ran so far, oldest first."""
    return list(jsonl.read(layout.runs))


def all_nights(layout: Layout, ran: Iterable[Json], is_night_running: bool) -> list[Night]:
    """The nights, oldest first. A night whose last stage went well but is not `deploy` is running, or was stopped."""
    staged = sorted((line for line in ran if line["stage"] in STAGES), key=lambda line: runs.night_of(line["run"]))
    found = [_night(layout, list(stages)) for _, stages in groupby(staged, lambda line: runs.night_of(line["run"]))]
    if found and found[-1]["outcome"] == "stopped" and is_night_running:
        found[-1]["outcome"], found[-1]["words"] = "running", "still under way"
    return found


def _night(layout: Layout, stages: list[Json]) -> Night:
    last = stages[-1]
    run = str(last["run"])  # of several rounds the last one is what was judged
    outcome = _outcome(last)
    verdict = _verdict(layout, run)
    held_out = verdict.get("suites", {}).get("holdout", {})
    after, before = held_out.get("candidate", {}), held_out.get("incumbent", {})
    (low, high), (before_low, before_high) = (side.get("interval") or (None, None) for side in (after, before))
    return {
        "run": run,
        "at": stages[0]["at"],
        "seconds": round(sum(line["seconds"] for line in stages), 3),
        "outcome": outcome,
        "words": str(last.get("message") or verdict.get("reason") or ""),
        "success": after.get("success"),
        "low": low,
        "high": high,
        "before": before.get("success"),
        "before_low": before_low,
        "before_high": before_high,
        "questions": held_out.get("n"),
        "stages": [{key: line.get(key) for key in _SHOWN} for line in stages],
    }


def _outcome(last: Json) -> Outcome:
    code = int(last["exit_code"])
    if code == ExitCode.DONE:
        return "deployed" if last["stage"] == "deploy" else "stopped"
    if last["status"] == "AwaitingApproval":
        return "awaiting"
    return _ENDINGS.get(code, "failed")


def _verdict(layout: Layout, run: str) -> dict[str, Any]:
    return generations.verdict(Generation(layout.generation(run), {})) or {}


def rows(settings: Settings) -> list[GenerationRow]:
    """Every generation, newest first, the bare base last."""
    layout = settings.layout
    incumbent = generations.incumbent(layout)
    previous = lineage.previous(layout, incumbent, lineage.current_base(layout))
    pinned = pins.pinned(layout)
    listed = []
    for each in [generations.bare_base(layout), *generations.all_complete(layout)]:
        marks = {"current": each.id == incumbent.id, "previous": each.id == previous, "pinned": each.id in pinned}
        listed.append(_row(each, incumbent, [name for name, marked in marks.items() if marked]))
    return listed[::-1]


def _row(each: Generation, incumbent: Generation, marks: list[str]) -> GenerationRow:
    facts = generations.summary(each)
    verdict = generations.verdict(each) or {}
    said = permission.read(each)
    if said is not None and (permission.is_awaited(each) or said["state"] != permission.AWAITING):
        marks.append(str(said["state"]))
    return {
        "id": each.id,
        "parent": facts["parent"],
        "sha256": each.sha256,
        "created": facts["created"],
        "rows": facts["rows"],
        "verdict": facts["verdict"],
        "reason": verdict.get("reason"),
        "held_out": facts["held_out"],
        "difference": facts["difference"],
        "incumbent": verdict.get("incumbent"),
        "marks": marks,
        "actions": list(_actions(each, incumbent)),
    }


def _actions(each: Generation, incumbent: Generation) -> Iterator[Action]:
    """What a person may ask for; whether it can be had is found out by trying."""
    if each.id == incumbent.id:
        return
    said = permission.read(each)
    if each.id != BASE and not (said is not None and said["state"] == permission.REJECTED):
        with suppress(NightschoolError):
            permission.require_pass(each, incumbent)
            permission.require_open(each, incumbent)
            yield "approve"
            yield "reject"
    if incumbent.id != BASE and (each.id == BASE or _was_current(each, incumbent)):
        yield "rollback"


def _was_current(each: Generation, incumbent: Generation) -> bool:
    """An earlier one on the same base model."""
    return each.base_sha256 == incumbent.base_sha256 and each.id < incumbent.id


def awaiting(layout: Layout) -> str | None:
    """The newest candidate that waits for a person's yes."""
    waiting = [each.id for each in generations.all_complete(layout) if permission.is_awaited(each)]
    return waiting[-1] if waiting else None
