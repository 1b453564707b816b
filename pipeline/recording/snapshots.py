"""The 18 KPIs, from what is on the disk and in the store.

What serves     the gate's figures, from the last verdict in which it took part; live figures of today and yesterday
The last night  rewrites, retention, improvement, loss, efficiency: of its candidate, whatever became of that
"""

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.lib import generations, runs
from pipeline.lib.config import Settings
from pipeline.lib.files import read_json
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout
from pipeline.metrics.rows import EvolutionMetric, KpiSnapshot
from pipeline.recording.nights import generation_of, performances, verdict_of

_CATEGORIES = ("functionality", "quality", "instruction_following", "safety")  # `performance` has no share


def snapshot_of(
    settings: Settings, db: sqlite3.Connection, row: EvolutionMetric | None, now: float | None = None
) -> KpiSnapshot:
    """The KPIs as they stand.

    Args:
        settings: whose model, and where everything lies.
        db: the store, for the live figures.
        row: the night that was last; none: there was none.
        now: seconds since 1970; none: now.
    """
    layout, now = settings.layout, now or time.time()
    candidate = generation_of(layout, row.run) if row else None
    verdict = verdict_of(candidate)
    return KpiSnapshot(
        agent=settings.model.name,
        at=now,
        run=row.run if row else None,
        **_of_gate(layout, candidate),
        **_live(db, settings.model.name, now),
        rewrite_success_rate=_rewritten(settings, row.run) if row else None,
        retention=_retention(verdict),
        improvement=row.improvement if row else None,
        training_loss=row.loss if row else None,
        efficiency=row.efficiency if row else None,
    )


def _of_gate(layout: Layout, candidate: Generation | None) -> dict[str, float | None]:
    """What the gate found of what serves now, as the candidate or as the one it was compared with."""
    serving = generations.incumbent(layout)
    verdict, side = verdict_of(candidate), "candidate"
    if candidate is None or serving.id != candidate.id:
        if verdict.get("incumbent") == serving.id and "suites" in verdict:
            side = "incumbent"
        else:
            verdict = verdict_of(serving)
    categories = verdict.get("categories", {})
    ratio = categories.get("performance", {}).get("ratio")
    if ratio and side == "candidate":
        ratio = 1 / ratio  # time for a token, candidate over incumbent
    before, after = performances(verdict)
    return {
        "held_out_success": after if side == "candidate" else before,
        **{name: categories.get(name, {}).get(side, {}).get("success") for name in _CATEGORIES},
        "performance": min(1.0, ratio) if ratio else None,
    }


def _live(db: sqlite3.Connection, agent: str, now: float) -> dict[str, float | None]:
    today = datetime.fromtimestamp(now, UTC).date()
    days = [agent, (today - timedelta(days=1)).isoformat(), today.isoformat()]
    asked = db.execute(
        "SELECT SUM(queries), SUM(errors), SUM(latency_ms_sum), SUM(latency_ms_count), SUM(first_token_ms_sum), "
        "SUM(first_token_ms_count), SUM(tokens), SUM(confidence_sum), SUM(confidence_count) "
        "FROM daily_summaries WHERE agent = ? AND day BETWEEN ? AND ?",
        days,
    ).fetchone()
    said = db.execute(
        "SELECT SUM(successes), SUM(failures), SUM(thumbs_up), SUM(thumbs_down + edits) "
        "FROM daily_feedback WHERE agent = ? AND day BETWEEN ? AND ?",
        days,
    ).fetchone()
    queries, errors, latency, timed, first, first_timed, tokens, confidence, confident = (each or 0 for each in asked)
    right, wrong, up, down = (each or 0 for each in said)
    return {
        "live_success_rate": _ratio(right, right + wrong),
        "satisfaction_rate": _ratio(up, up + down),
        "error_rate": _ratio(errors, queries),
        "latency_ms": _ratio(latency, timed),
        "first_token_ms": _ratio(first, first_timed),
        "tokens_per_second": _ratio(1000 * tokens, latency) if tokens else None,
        "confidence": _ratio(confidence, confident),
    }


def _rewritten(settings: Settings, night: str) -> float | None:
    """Of the failures that the night's harvest worked on, how many it answered better."""
    lines = [each for each in runs.of_night(settings.layout, night) if each["stage"] == "harvest"]
    named = [each["outputs"]["manifest"] for each in lines if "manifest" in each["outputs"]]
    if not named or not (path := settings.home / named[-1]).is_file():
        return None
    manifest = read_json(path)
    return _ratio(manifest["rewrites"], manifest["rewrites"] + manifest["unsolved"])


def _retention(verdict: dict[str, Any]) -> float | None:
    """Of the questions asked of both, how many the candidate did not lose."""
    overall = next((each for each in verdict.get("checks", []) if each["name"] == "overall"), None)
    return 1 - overall["losses"] / overall["n"] if overall and overall["n"] else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
