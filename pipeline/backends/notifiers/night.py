"""What the message about a night says: the outcome with its numbers, why, and what the reader can do."""

import socket
from typing import Any

from pipeline.backends.notifiers.interface import Message, Severity
from pipeline.backends.notifiers.wording import fit
from pipeline.lib import generations, nights, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, NightschoolError
from pipeline.lib.files import read_json
from pipeline.lib.layout import Layout
from pipeline.lib.nights import NightEnd

_ORDINALS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_FAILURE = 80  # characters of an error in a title

_SEVERITIES: dict[str, Severity] = {
    "deployed": "good",
    "awaiting-approval": "warning",
    "rolled-back": "bad",
    "failed": "bad",
}


def compose(settings: Settings, run: str, lines: list[dict[str, Any]]) -> Message:
    """The message about the night that a run belongs to.

    Args:
        settings: where its files are.
        run: a run of the night.
        lines: `logs/runs.jsonl`; the nights before tell how often it has ended like this.
    """
    layout, night = settings.layout, runs.night_of(run)
    end = nights.end_of(line for line in lines if runs.night_of(line["run"]) == night)
    if end is None:
        return Message(
            f"failed: run {run} did not come to an end",
            "No stage of it has ended.",
            {"night": _where(night)},
            f"`tail -n 30 logs/nightly_{night}.log`",
            "bad",
            "failed",
            night,
        )
    verdict = _part(layout, end.candidate, generations.VERDICT)
    head, tail = _title(layout, end, verdict)
    repeated = nights.in_a_row(lines, night) if end.event not in ("deployed", "trained") else 1
    if repeated > 1:
        head += f", {_ordinal(repeated)} in a row"
    text = str(end.line.get("message") or verdict.get("reason") or f"{end.line['stage']} ended well.")
    if end.event == "failed" and not end.unfinished:
        serving = _serving(layout)
        text += f" (exit {end.line['exit_code']}). {serving} goes on serving; the next night tries again."
    return Message(
        f"{head}: {tail}",
        text,
        _facts(layout, end, verdict, text),
        _next_step(end, night),
        _SEVERITIES.get(end.event, "info"),
        end.event,
        night,
        end.line["at"] + end.line["seconds"],
        settings.notify.link or "",
    )


def _title(layout: Layout, end: NightEnd, verdict: dict[str, Any]) -> tuple[str, str]:
    """The outcome, and its numbers."""
    serving = _serving(layout)
    measured = _measured(verdict)
    numbers = f"{measured}, " if measured else ""
    stage, line = end.line["stage"], end.line
    if end.event == "failed":
        if end.unfinished:
            return "failed", f"the night ended after {stage}, nothing was deployed"
        return f"failed in {stage}", fit(line.get("message") or f"exit {line['exit_code']}", _FAILURE)
    if end.event == "deployed":
        return "better" if _surely_better(verdict) else "not worse", f"{numbers}serving {end.candidate}"
    if end.event == "rolled-back":
        return "rolled back" if line["exit_code"] else "rolled back by hand", f"serving {serving} again"
    if end.event == "trained":
        outputs = line["outputs"]
        return "trained", f"{outputs.get('rows', '?')} rows, loss {outputs.get('loss', '?')}, not judged yet"
    if end.event == "nothing-to-do":
        return "nothing to learn", fit(line.get("message") or stage, _FAILURE)
    if end.event == "refused" and stage == "deploy":
        return "refused at deploy", f"still serving {serving}"
    words = {"refused": "refused", "inconclusive": "too little evidence", "awaiting-approval": "awaiting approval"}
    return words[end.event], f"{numbers}still serving {serving}"


def _facts(layout: Layout, end: NightEnd, verdict: dict[str, Any], text: str) -> dict[str, str]:
    """The numbers, the important ones first."""
    facts = {}
    holdout = verdict.get("suites", {}).get("holdout", {})
    if _measured(verdict):
        facts["held-out"] = (
            f"{_share(holdout['incumbent'])} → {_share(holdout['candidate'])} of {holdout.get('n', '?')}"
        )
    overall = _overall(verdict)
    if "interval" in overall and verdict["reason"] not in text:
        low, high = overall["interval"]
        facts["difference"] = (
            f"{overall['value']:+.1%} [{low:+.1%}, {high:+.1%}]: {overall['wins']} won, {overall['losses']} lost "
            f"of {overall['n']}"
        )
    watch = _part(layout, end.candidate, generations.DEPLOYMENT).get("watch")
    if watch and end.event in ("deployed", "rolled-back"):
        facts["watched"] = f"{watch['health']}: {watch['reason']}"
    outputs = {name: value for line in end.stages for name, value in line["outputs"].items()}
    if "failures" in outputs:
        facts["harvested"] = f"{outputs['failures']} failures, {outputs.get('rewrites', 0)} better answers"
    if "new" in outputs:
        facts["learned from"] = f"{outputs.get('rows', '?')} rows, {outputs['new']} new"
    facts["took"] = _took(end.stages)
    facts["serving"] = _serving(layout)
    facts["night"] = _where(runs.night_of(end.line["run"]))
    return facts


def _next_step(end: NightEnd, night: str) -> str:
    candidate, run = end.candidate, end.line["run"]
    steps: dict[str, str] = {
        "deployed": f"The story: `nightschool report --run {run}`. Not happy? `nightschool rollback`.",
        "refused": f"Why: `nightschool report --run {run}`; answers side by side: loras/{candidate}/canary.jsonl.",
        "inconclusive": f"Nothing; the next night has more. Details: `nightschool report --run {run}`.",
        "awaiting-approval": f"`nightschool versions compare current {candidate}`, then `nightschool approve` "
        "or `nightschool reject`.",
        "rolled-back": "`cat loras/current/rollback_summary.json`, then `nightschool status`.",
        "trained": f"Nothing, or `nightschool canary --candidate {candidate}`.",
        "nothing-to-do": "Nothing. What it looked at: `nightschool report`.",
    }
    return steps.get(end.event, f"`nightschool doctor`; the log: `tail -n 30 logs/nightly_{night}.log`.")


def _measured(verdict: dict[str, Any]) -> str:
    """`51 → 79 % (400 questions)`; empty where nothing was measured."""
    holdout = verdict.get("suites", {}).get("holdout", {})
    shares = [holdout.get(side, {}).get("success") for side in ("incumbent", "candidate")]
    if None in shares:
        return ""
    before, after = (100 * share for share in shares)
    digits = 0 if round(before) != round(after) else 1
    asked = f" ({holdout['n']} questions)" if "n" in holdout else ""
    return f"{before:.{digits}f} → {after:.{digits}f} %{asked}"


def _surely_better(verdict: dict[str, Any]) -> bool:
    low, _ = _overall(verdict).get("interval", (0.0, 0.0))
    return bool(low > 0)


def _overall(verdict: dict[str, Any]) -> dict[str, Any]:
    return next((check for check in verdict.get("checks", []) if check["name"] == "overall"), {})


def _share(side: dict[str, Any]) -> str:
    low, high = side.get("interval", (None, None))
    interval = "" if low is None else f" [{low:.1%}, {high:.1%}]"
    return f"{side['success']:.1%}{interval}"


def _took(stages: list[dict[str, Any]]) -> str:
    """All rounds together: `7 min (harvest 3, train 2)`."""
    minutes: dict[str, float] = {}
    for line in stages:
        minutes[line["stage"]] = minutes.get(line["stage"], 0) + line["seconds"] / 60
    long = ", ".join(f"{stage} {spent:.0f}" for stage, spent in minutes.items() if spent >= 0.5)
    return f"{sum(minutes.values()):.0f} min ({long})" if long else "less than a minute"


def _part(layout: Layout, generation: str, name: str) -> dict[str, Any]:
    """A file of a generation; a damaged one may be why the night failed, and that has to be told."""
    path = layout.generation(generation) / name
    try:
        return read_json(path) if path.is_file() else {}
    except BadRecordError:
        return {}


def _serving(layout: Layout) -> str:
    try:
        return generations.incumbent(layout).id
    except NightschoolError:
        return "what was loaded last (loras/current is damaged)"


def _where(night: str) -> str:
    return f"{night} on {socket.gethostname()}"


def _ordinal(count: int) -> str:
    return f"{_ORDINALS[count - 2]} night" if count - 2 < len(_ORDINALS) else f"{count} nights"
