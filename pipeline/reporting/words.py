"""A night in two sentences: how it ended, and what to do now."""

from typing import Any

from pipeline.lib.errors import ExitCode
from pipeline.lib.text import visible

NOTHING = "nothing to do"
_LONGEST = 300  # of a reason, which may quote what people or other programs wrote

_BEGINNINGS = {
    "refused": "refused, nothing changed",
    "inconclusive": "too little evidence, nothing changed",
    "rejected": "rejected by a person, nothing changed",
    "lapsed": "passed, nobody approved it in time, nothing changed",
    "rolled_back": "deployed, failed, rolled back",
    "nothing": "nothing to learn, nothing changed",
}

_MENDING = {
    ExitCode.USAGE: "`nightschool report --json` shows which stage was called wrongly",
    ExitCode.BAD_RECORD: "mend the line that the message names",
    ExitCode.UNAVAILABLE: "is the server running? `nightschool doctor` looks",
    ExitCode.DISK: "free some space, or check the rights of the folder; `nightschool doctor` looks",
    ExitCode.BUSY: "somebody else was at it; the next night tries again by itself",
    ExitCode.CONFIGURATION: "`nightschool doctor` says what is wrong with nightschool.toml",
}


def headline(night: dict[str, Any], current: str) -> str:
    """The first thing to read at breakfast.

    Args:
        night: as `nights.night` tells it.
        current: the generation that `loras/current` names now.
    """
    kind = night["kind"]
    if kind == "deployed":
        since = f"serving {current}" if current == night["candidate"] else f"since then {current} has come to serve"
        return f"{_better(night)}, deployed, {since}"
    if kind == "awaiting":
        return f"{_better(night)}, awaiting approval, still serving {current}"
    if kind == "unfinished":
        return f"not finished: {night['stage']} was the last stage that ended; serving {current}"
    beginning = _BEGINNINGS.get(kind) or f"failed in {night['stage']} (exit {night['exit_code']}), nothing changed"
    told = night["reason"] if kind != "lapsed" else None  # there it only says until when somebody was asked
    reason = f", because {visible(told, _LONGEST).rstrip('.')}" if told else ""
    return f"{beginning}{reason}; serving {current}"


def next_step(night: dict[str, Any], current: str) -> str:
    """What a person can do about it, in one line."""
    kind, run, before = night["kind"], night["run"], night["incumbent"] or "base"
    compare = f"`nightschool versions compare {before} {run}` shows the answers of both"
    if not night["kept"]:
        compare = "its answers have been cleaned up"
    steps = {
        "deployed": f"nothing to do; {compare}; not happy? `nightschool rollback`",
        "awaiting": f"{compare}; then `nightschool approve` or `nightschool reject`",
        "refused": f"nothing to do, the next night tries again; {compare}",
        "rejected": "nothing to do, the next night tries again",
        "lapsed": f"nothing to do, the next night tries again; {compare}",
        "inconclusive": f"nothing to do, the next night tries again; more canary tasks give more evidence; {compare}",
        "rolled_back": f"read loras/{run}/rollback_summary.json; {compare}",
        "nothing": "nothing to do; failures come from checks, errors and thumbs: `nightschool sources list` looks",
        "unfinished": f"is it still running? logs/nightly_{night['night']}.log tells",
    }
    if kind == "deployed" and current != run:
        return f"nothing to do; {compare}"
    log = f"logs/nightly_{night['night']}.log has the details"
    return steps.get(kind) or "; ".join(part for part in (_MENDING.get(night["exit_code"]), log) if part)


def before_all(server: dict[str, Any] | None, current: str) -> str | None:
    """What comes before any other step: a server that answers, and with the model that the disk names.

    Args:
        server: what its health check says; none: it does not answer.
        current: the generation that `loras/current` names.
    """
    if server is None:
        return "the server is down: `nightschool serve` starts it, `nightschool doctor` looks what it needs"
    if server.get("adapter") != current:
        return f"the server answers with {server.get('adapter')}, not with {current}: restart it"
    return None


def percent(share: float | None, digits: int = 1) -> str:
    """A share as people write it."""
    return "not measured" if share is None else f"{100 * share:.{digits}f} %"


def between(interval: tuple[float, float] | list[float] | None, digits: int = 0) -> str:
    """An interval of shares, in brackets; empty without one."""
    return "" if not interval else f"[{100 * interval[0]:.{digits}f}, {100 * interval[1]:.{digits}f}] %"


def milliseconds(value: float | None) -> str:
    """A duration as people write it."""
    return "–" if value is None else f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def week_line(week: dict[str, Any]) -> str:
    """The first thing to read about some days."""
    totals, opinions = week["totals"], week["satisfaction"]
    window = f"{week['days']} days to {totals['until']}" if week["days"] > 1 else totals["until"]
    if not totals["queries"]:
        return f"{window}: no requests; serving {week['serving']}"
    satisfied = f"{percent(opinions['rate'], 0)} of {opinions['n']} opinions are up" if opinions["n"] else "no opinions"
    return (
        f"{window}: {totals['queries']:,} requests, {percent(totals['error_rate'])} failed, "
        f"{milliseconds(totals['latency_ms']['mean'])} on average, {satisfied}; serving {week['serving']}"
    )


def week_steps(week: dict[str, Any]) -> list[str]:
    """What to do after these days; a target that may be missed by chance alone asks for nothing."""
    missed = [f"{each['name']} missed its target: {each['step']}" for each in week["targets"] if each["step"]]
    asked = week["totals"]["queries"]
    silent = ["nobody has said what they think of an answer: `nightschool feedback --help` tells how"] if asked else []
    unasked = ["nothing was asked: is `nightschool serve` where people ask?"] if not asked else []
    return [*missed, *unasked, *(silent if not week["satisfaction"]["n"] else [])] or [NOTHING]


def target(each: dict[str, Any]) -> str:
    """What a measure should be."""
    if each["unit"] == "ms":
        return f"at most {each['high']:,.0f} ms"
    return (
        f"at most {percent(each['high'], 0)}"
        if not each["low"]
        else f"{100 * each['low']:.0f} to {100 * each['high']:.0f} %"
    )


def trend(name: str, each: dict[str, Any]) -> str:
    """How a measure has changed, in a word; none where it may be noise."""
    if each["word"] is None:
        return "" if name == "queries" or each["change"] is None else "no more than noise"
    return str(each["word"]) + {True: ", better", False: ", worse", None: ""}[each["better"]]


def measured(name: str, value: float | None) -> str:
    """A measure of the trends with its unit."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if name == "queries" else milliseconds(value) if name == "latency_ms" else percent(value)


def _better(night: dict[str, Any]) -> str:
    """Better is said only where the gate's interval of the difference leaves zero out."""
    difference, held_out = night["difference"] or {}, night["held_out"]
    interval = difference.get("interval")
    word = "better" if interval and interval[0] > 0 else "no worse"
    if held_out:
        before, after = (100 * held_out[when]["success"] for when in ("before", "after"))
        return f"{word}: {before:.1f} → {after:.1f} % of {held_out['n']} held-out questions right"
    return f"{word}: {visible(night['reason'], _LONGEST)}" if night["reason"] else word
