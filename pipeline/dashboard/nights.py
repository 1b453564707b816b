"""Every night and what came of it; every generation and what may be done with it.

reads   `logs/runs.jsonl`, the ledger, `loras/`
"""

from collections.abc import Iterator
from contextlib import suppress

from pipeline.dashboard.shapes import Action, GenerationRow, Json, Night, Stage
from pipeline.lib import generations, jsonl, lineage, permission, pins, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.layout import Layout
from pipeline.lib.text import visible
from pipeline.reporting import nights, words

_LONGEST = 300  # of a message, which may quote what people wrote
_UNKNOWN = {"success": None, "interval": None}


def lines(layout: Layout) -> list[Json]:
    """What ran so far, oldest first."""
    return list(jsonl.read(layout.runs))


def all_nights(layout: Layout, is_night_running: bool) -> list[Night]:
    """The nights, oldest first."""
    current = generations.incumbent(layout).id
    found = [_night(each, current) for each in nights.nights(layout)]
    if found and found[-1]["outcome"] == "unfinished" and is_night_running:
        still = f"{found[-1]['stage']} was the last stage that ended; serving {current}"
        found[-1] |= {"outcome": "running", "headline": f"still under way: {still}", "next_step": "wait for its end"}
    return found


def _night(night: Json, current: str) -> Night:
    """As `nightschool report` tells it, made flat for plots."""
    held_out = night["held_out"] or {"n": None, "before": _UNKNOWN, "after": _UNKNOWN}
    after, before = held_out["after"], held_out["before"]
    (low, high), (before_low, before_high) = (side["interval"] or (None, None) for side in (after, before))
    return {
        "run": night["run"],
        "at": night["at"],
        "seconds": round(night["seconds"], 3),
        "outcome": night["kind"],
        "stage": night["stage"],
        "headline": words.headline(night, current),
        "next_step": words.next_step(night, current),
        "questions": held_out["n"],
        "success": after["success"],
        "low": low,
        "high": high,
        "before": before["success"],
        "before_low": before_low,
        "before_high": before_high,
    }


def last_stages(ran: list[Json]) -> list[Stage]:
    """Those of the last night, in the order in which they ended."""
    of_nights = [line for line in ran if line["stage"] in nights.STAGES]
    last = runs.night_of(of_nights[-1]["run"]) if of_nights else None
    return [
        {
            "run": line["run"],
            "stage": line["stage"],
            "exit_code": line["exit_code"],
            "at": line["at"],
            "seconds": line["seconds"],
            "message": visible(line["message"], _LONGEST) if line.get("message") else None,
        }
        for line in of_nights
        if runs.night_of(line["run"]) == last
    ]


def rows(settings: Settings) -> list[GenerationRow]:
    """Every generation, newest first, the bare base last."""
    layout = settings.layout
    incumbent = generations.incumbent(layout)
    previous = lineage.previous(layout, incumbent, lineage.current_base(layout))
    pinned = pins.pinned(layout)
    served = {BASE, *(str(swap["to"]) for swap in generations.ledger(layout))}
    listed = []
    for each in [generations.bare_base(layout), *generations.all_complete(layout)]:
        marks = {"current": each.id == incumbent.id, "previous": each.id == previous, "pinned": each.id in pinned}
        listed.append(_row(each, incumbent, served, [name for name, marked in marks.items() if marked]))
    return listed[::-1]


def _row(each: Generation, incumbent: Generation, served: set[str], marks: list[str]) -> GenerationRow:
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
        "actions": list(_actions(each, incumbent, served)),
    }


def _actions(each: Generation, incumbent: Generation, served: set[str]) -> Iterator[Action]:
    """What a person may ask for; whether it can be had is found out by trying."""
    if each.id == incumbent.id:
        return
    said = permission.read(each)
    if each.id not in served and not (said is not None and said["state"] == permission.REJECTED):
        with suppress(NightschoolError):
            permission.require_pass(each, incumbent)
            permission.require_open(each, incumbent)
            yield "approve"
            yield "reject"
    of_this_base = BASE in (each.id, incumbent.id) or each.base_sha256 == incumbent.base_sha256
    if each.id in served and of_this_base:
        yield "rollback"


def awaiting(layout: Layout) -> str | None:
    """The newest candidate that waits for a person's yes."""
    waiting = [each.id for each in generations.all_complete(layout) if permission.is_awaited(each)]
    return waiting[-1] if waiting else None
