"""The evolution report: every attempt so far, what it brought, and whether another one is due. For machines.

docs/evolution-report.schema.json describes it.
"""

import sqlite3
from datetime import UTC, datetime
from typing import Any

from pipeline.metrics import evolutions, kpis
from pipeline.metrics.intervals import wilson

_LISTED = 50  # attempts, the newest


def told(db: sqlite3.Connection, agent: str, now: float, least_failures: int, target: float) -> dict[str, Any]:
    """The report.

    Args:
        db: the store.
        agent: the model's public name.
        now: seconds since 1970.
        least_failures: for which another night is worth its work.
        target: the live success that a model should reach, a share.
    """
    evolve = evolutions.should_evolve(db, agent, now, least_failures=least_failures, target=target)
    rate = evolutions.success_rate(db, agent)
    return {
        "schema": 1,
        "agent": agent,
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "attempts": {
            "total": rate["attempts"],
            **{name: rate[name] for name in ("deployed", "rate", "interval", "statuses")},
            "latest": evolutions.history(db, agent, _LISTED),
            "best": evolutions.top(db, agent, 5),
        },
        "kpis": _kpis(kpis.latest(db, agent)),
        "trajectory": evolutions.trajectory(db, agent),
        "strategies": _strategies(db, agent),
        "recommendation": _recommendation(evolve, evolutions.should_retire(db, agent, now)),
    }


def _kpis(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The newest snapshot, each KPI with its target; what was not measured is none."""
    return {
        "run": snapshot.get("run"),
        "overall_performance": snapshot.get("overall_performance"),
        "values": {
            name: {
                "value": (value := snapshot.get(name)),
                "unit": kpi.unit,
                "target": kpi.target,
                "reached": None if value is None else kpi.reached(value),
                "description": kpi.description,
            }
            for name, kpi in kpis.KPIS.items()
        },
    }


def _strategies(db: sqlite3.Connection, agent: str) -> list[dict[str, Any]]:
    """How each way of answering a kind of failure has fared, the most tried first."""
    rows = db.execute(
        "SELECT pattern, strategy, attempts, successes FROM evolution_strategies WHERE agent = ? "
        "ORDER BY attempts DESC, pattern, strategy",
        [agent],
    )
    return [
        {
            **dict(row),
            "rate": row["successes"] / row["attempts"] if row["attempts"] else None,
            "interval": wilson(row["successes"], row["attempts"]),
        }
        for row in rows
    ]


def _recommendation(evolve: dict[str, Any], retire: dict[str, Any]) -> dict[str, Any]:
    """`action` is what to do: `retire` (roll back, or train another way), `evolve` (play a night), or `wait`."""
    action = "retire" if retire["should"] else "evolve" if evolve["should"] else "wait"
    chosen = retire if retire["should"] else evolve
    return {"action": action, "reason": chosen["reason"], "should_evolve": evolve, "should_retire": retire}
