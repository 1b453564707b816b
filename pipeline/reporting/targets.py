"""The week against what an ordinary week looks like (`[report]` in nightschool.toml)."""

from typing import Any, Literal

from pipeline.lib.sections import Report, Retrieval
from pipeline.metrics.intervals import wilson

State = Literal["met", "missed", "unclear", "not in use", "not measured"]

_STEPS = {
    "latency": "`nightschool versions list`: is a new version slower? logs/nightschool.log tells what the gateway does",
    "errors": "`nightschool doctor`, then the last lines of logs/nightschool.log",
    "trained alone": "is the index used as meant? retrieval.history and retrieval.tools say how many passages go in",
    "with history": "retrieval.history and retrieval.similarity in nightschool.toml decide",
    "with tools": "retrieval.tools and retrieval.tool_documents in nightschool.toml decide",
}


def compared(expected: Report, retrieval: Retrieval, week: dict[str, Any]) -> list[dict[str, Any]]:
    """One {name, unit, value, interval, low, high, state, step} a target.

    A share misses its target only when its whole interval (95 %) does; where only the value does, it may be chance:
    "unclear". Passages that no setting asks for and no chat has used are "not in use". `step` says what to do about a
    miss, else it is none.
    """
    totals, trained = week["totals"], week["query_types"]["trained"]
    queries = totals["queries"]
    history, tools = (_from_types(week["query_types"], name, queries) for name in ("history", "tools"))
    unused = [asked == 0 and not used for asked, (used, _) in ((retrieval.history, history), (retrieval.tools, tools))]
    found = [
        _target("latency", "ms", totals["latency_ms"]["mean"], None, 0, expected.latency_ms),
        _target("errors", "share", totals["error_rate"], totals["error_interval"], 0, expected.error_rate),
        _target("trained alone", "share", trained["share"], trained["interval"], *expected.trained),
        _target("with history", "share", *history, *expected.history),
        _target("with tools", "share", *tools, *expected.tools),
    ]
    for each, idle in zip(found[2:], (all(unused), *unused), strict=True):
        if idle and queries:
            each |= {"state": "not in use", "step": None}
    return found


def _from_types(types: dict[str, Any], name: str, queries: int) -> tuple[float | None, Any]:
    """What was answered with this kind of passages, the other kind besides or not."""
    used = types[name]["queries"] + types["both"]["queries"]
    return (used / queries if queries else None), wilson(used, queries)


def _target(name: str, unit: str, value: float | None, interval: Any, low: float, high: float) -> dict[str, Any]:
    state: State = "met"
    if value is None:
        state = "not measured"
    elif not low <= value <= high:
        nearest, farthest = interval or (value, value)
        state = "missed" if nearest > high or farthest < low else "unclear"
    step = _STEPS[name] if state == "missed" else None
    return {
        "name": name,
        "unit": unit,
        "value": value,
        "interval": interval,
        "low": low,
        "high": high,
        "state": state,
        "step": step,
    }
