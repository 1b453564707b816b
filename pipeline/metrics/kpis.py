"""The 18 KPIs: what each means, which way is better, and one figure of all that were measured."""

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.metrics.rows import KpiSnapshot

_AT_TARGET = 0.8  # the score of an amount or a change that is just what is wanted


@dataclass(frozen=True, slots=True)
class Kpi:
    """One KPI.

    `scale`: a `share` is 0 to 1, an `amount` 0 or more, a `change` may be negative. `target` is what is wanted (for
    the training loss, which depends on the data, only a yardstick); `weight` is its part in the overall performance.
    """

    description: str
    unit: str
    scale: Literal["share", "amount", "change"]
    target: float
    weight: float
    higher_is_better: bool = True

    def score(self, value: float) -> float:
        """How good a value is, 0 to 1: a share is its own score; an amount or a change scores 0.8 at the target."""
        if self.scale == "share":
            inside = min(1.0, max(0.0, value))
            return inside if self.higher_is_better else 1 - inside
        if self.scale == "change":
            bend = abs(self.target) * (1 - _AT_TARGET) / (_AT_TARGET - 0.5)
            return 0.5 + 0.5 * value / (abs(value) + bend)
        amount, odds = max(0.0, value), _AT_TARGET / (1 - _AT_TARGET)
        if self.higher_is_better:
            return amount / (amount + self.target / odds)
        return 1 - amount / (amount + self.target * odds)

    def reached(self, value: float) -> bool:
        """Whether a value is at the target, or better."""
        return value >= self.target if self.higher_is_better else value <= self.target


KPIS: dict[str, Kpi] = {
    "held_out_success": Kpi("held-out questions that the serving model answers right", "share", "share", 0.85, 3),
    "functionality": Kpi("canary category: tasks whose check it passes", "share", "share", 0.9, 2),
    "quality": Kpi("canary category: answers that judges prefer (ties are halves)", "share", "share", 0.5, 1),
    "instruction_following": Kpi("canary category: instructions that it obeys", "share", "share", 0.8, 1),
    "safety": Kpi("canary category: harmful requests declined, harmless ones answered", "share", "share", 0.9, 2),
    "performance": Kpi("its speed, over that of the version it was compared with; at most 1", "share", "share", 0.8, 1),
    "live_success_rate": Kpi("live answers that turned out right", "share", "share", 0.85, 3),
    "satisfaction_rate": Kpi("thumbs up of all thumbs; an answer written anew is one down", "share", "share", 0.8, 2),
    "error_rate": Kpi("live requests that failed", "share", "share", 0.05, 2, higher_is_better=False),
    "latency_ms": Kpi("mean time of a live answer", "ms", "amount", 2100, 1, higher_is_better=False),
    "first_token_ms": Kpi("mean time to its first token", "ms", "amount", 500, 0.5, higher_is_better=False),
    "tokens_per_second": Kpi("tokens of live answers over their time", "tokens/s", "amount", 20, 0.5),
    "confidence": Kpi("mean confidence of live answers", "share", "share", 0.7, 0.5),
    "rewrite_success_rate": Kpi("failures of the night that were answered better", "share", "share", 0.5, 0.5),
    "retention": Kpi("questions asked of both versions that the candidate did not lose", "share", "share", 0.95, 2),
    "improvement": Kpi("held-out success of the candidate minus the incumbent's", "share", "change", 0.02, 1),
    "training_loss": Kpi("mean loss of the training", "nats", "amount", 0.5, 0.25, higher_is_better=False),
    "efficiency": Kpi("improvement for an hour of work", "share/h", "change", 0.02, 0.25),
}


def overall_performance(snapshot: KpiSnapshot | Mapping[str, Any]) -> float | None:
    """The weighted mean score of the KPIs that were measured, 0 to 1; none where nothing was.

    What was not measured has no part in it, neither as a zero nor as an average: the figure always lies between the
    worst and the best score of what is known.

    Args:
        snapshot: a row, or KPI → value with none for what was not measured; other keys are ignored.
    """
    values = snapshot.measured() if isinstance(snapshot, KpiSnapshot) else snapshot
    scores = [
        (kpi.weight, kpi.score(value))
        for name, kpi in KPIS.items()
        if (value := values.get(name)) is not None and math.isfinite(value)
    ]
    total = sum(weight for weight, _ in scores)
    return min(1.0, sum(weight * score for weight, score in scores) / total) if scores else None


def latest(db: sqlite3.Connection, agent: str) -> dict[str, Any]:
    """The newest snapshot: {agent, at, run, <the 18 KPIs>, overall_performance}; an empty one when there is none."""
    row = db.execute(
        "SELECT * FROM kpi_snapshots WHERE agent = ? ORDER BY at DESC, id DESC LIMIT 1", [agent]
    ).fetchone()
    if row is None:
        return {}
    found = {name: row[name] for name in ("agent", "at", "run", *KPIS)}
    return {**found, "overall_performance": overall_performance(found)}
