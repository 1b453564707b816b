"""The nights of an installation, from what they left on the disk: when, how each ended, how much better it was.

reads   `logs/runs.jsonl`, `loras/*/{verdict.json, generation.json, approval.json}`

Old generations are cleaned up: of their nights the ending and its reason remain, the shares are none.
"""

from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.lib import generations, jsonl, permission, runs
from pipeline.lib.errors import AwaitingApproval, BadRecordError, ExitCode
from pipeline.lib.files import read_json
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout

STAGES = ("doctor", "harvest", "build-dataset", "train", "canary", "deploy")

_KINDS = {
    ExitCode.NOTHING_TO_DO: "nothing",
    ExitCode.REFUSED: "refused",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.ROLLED_BACK: "rolled_back",
}


def nights(layout: Layout, since: float = 0) -> list[dict[str, Any]]:
    """Every night that began after `since` (seconds since 1970), oldest first, as `night` tells it."""
    lines = [line for line in jsonl.read(layout.runs) if line["stage"] in STAGES]
    lines.sort(key=lambda line: runs.night_of(line["run"]))  # stable: the stages stay in their order
    told = [night(layout, list(each)) for _, each in groupby(lines, key=lambda line: runs.night_of(line["run"]))]
    return [each for each in told if each["at"] >= since]


def night(layout: Layout, stages: list[dict[str, Any]]) -> dict[str, Any]:
    """One night from the lines that its stages left.

    Returns: {night, run, at, seconds, kind, stage, exit_code, reason, candidate, incumbent, kept, held_out,
        difference}.
        `kind`: deployed, refused, inconclusive, awaiting, rejected, lapsed (passed, and nobody approved it in time),
        rolled_back, nothing, failed or unfinished;
        `kept`: whether verdict and answers are still there;
        `held_out`: {n, before, after}, each {success, interval}, none without a hold-out or a verdict;
        `difference`: {value, interval, wins, losses, n} over all questions that both were asked.
    """
    last = stages[-1]  # of several rounds the last one is what was judged; an approval comes later still
    run = str(last["run"])
    verdict = _read(layout.generation(run) / generations.VERDICT)
    began = min(line.get("at", 0.0) for line in stages)
    ended = max(line.get("at", 0.0) + line["seconds"] for line in stages)
    return {
        "night": runs.night_of(run),
        "run": run,
        "at": began,
        "seconds": ended - began,
        "kind": _kind(layout, last),
        "stage": last["stage"],
        "exit_code": last["exit_code"],
        "reason": last.get("message") or verdict.get("reason") or _said(stages).get("reason"),
        "candidate": run if any(line["stage"] == "train" and line["run"] == run for line in stages) else None,
        "incumbent": verdict.get("incumbent") or _said(stages).get("incumbent"),
        "kept": bool(verdict),
        "held_out": _held_out(verdict),
        "difference": _difference(verdict),
    }


def curve(layout: Layout, run: str) -> list[tuple[float, float]]:
    """The training loss of a generation: (step, loss); empty where it was not kept."""
    path = layout.generation(run) / "training_curve.jsonl"
    rows = jsonl.read(path) if path.is_file() else ()
    return [(row["step"], row["loss"]) for row in rows if row.get("loss") is not None and "step" in row]


def _kind(layout: Layout, last: dict[str, Any]) -> str:
    code = last["exit_code"]
    if code == ExitCode.DONE:
        return "deployed" if last["stage"] == "deploy" else "unfinished"
    if last.get("status") == AwaitingApproval.__name__:
        return _asked(layout.generation(str(last["run"])))
    return _KINDS.get(code, "failed")


def _asked(folder: Path) -> str:
    """What has become of a candidate that a person was asked about; a yes is followed by a deployment."""
    state = _read(folder / permission.APPROVAL).get("state")
    if state in (permission.REJECTED, permission.APPROVED):
        return "rejected" if state == permission.REJECTED else "unfinished"
    return "awaiting" if state and permission.is_awaited(Generation(folder, {})) else "lapsed"


def _said(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """What the canary's line kept of a verdict whose file is gone."""
    return next((line.get("outputs", {}) for line in reversed(stages) if line["stage"] == "canary"), {})


def _held_out(verdict: dict[str, Any]) -> dict[str, Any] | None:
    suite = verdict.get("suites", {}).get("holdout", {})
    sides = {when: suite.get(side, {}) for when, side in (("before", "incumbent"), ("after", "candidate"))}
    if any(side.get("success") is None for side in sides.values()):
        return None
    shares = {when: {"success": side["success"], "interval": side.get("interval")} for when, side in sides.items()}
    return {"n": suite.get("n"), **shares}


def _difference(verdict: dict[str, Any]) -> dict[str, Any] | None:
    overall = next((check for check in verdict.get("checks", []) if check["name"] == "overall"), None)
    return overall and {key: overall.get(key) for key in ("value", "interval", "wins", "losses", "n")}


def _read(path: Path) -> dict[str, Any]:
    """A manifest, empty where there is none: a damaged file of one night must not hide all the others."""
    try:
        return read_json(path)
    except BadRecordError:
        return {}
