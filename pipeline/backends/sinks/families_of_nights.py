"""Families about nights: attempts, trainings, deployments, rollbacks, and how good the model has become.

reads   `evolution_metrics`, `kpi_snapshots` (both are kept for good, so that no counter ever goes down)
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily

from pipeline.backends.sinks.shapes import counter, gauge
from pipeline.metrics.rows import KpiSnapshot

DURATIONS = (60, 300, 600, 1800, 3600, 7200)  # seconds

# The row of an attempt is written again when more is known. What it has reached before counts on: a counter that went
# from "trained" back to zero as soon as the canary has spoken would look to Prometheus like a restart. Whatever its
# status, a row with a generation was trained, and one with an error has failed, also if somebody went on from there.
REACHED = {
    "nothing": ("nothing",),
    "failed": ("failed",),
    "trained": ("trained",),
    "refused": ("trained", "refused"),
    "inconclusive": ("trained", "inconclusive"),
    "deployed": ("trained", "deployed"),
    "rolled_back": ("trained", "deployed", "rolled_back"),
}

_DATED = "(SELECT *, MAX(started_at) OVER (PARTITION BY agent) AS newest FROM evolution_metrics)"
# A night that still runs has brought "nothing" so far: that counts when the next one has begun.
_KNOWN = f"{_DATED} WHERE status != 'nothing' OR started_at < newest"
# How long an attempt took is known when something was decided, or the next one has begun: one that failed may go on.
_ENDED = f"{_DATED} WHERE status != 'nothing' AND (status NOT IN ('trained', 'failed') OR started_at < newest)"

# Of a model's last attempt that measured it: name, column, meaning.
_MEASURED = (
    ("evolution_performance_improvement", "improvement", "Gain of the last judged candidate, a difference of shares"),
    ("nightschool_performance_before_ratio", "performance_before", "Held-out success before the last candidate"),
    ("nightschool_performance_after_ratio", "performance_after", "Held-out success of the last judged candidate"),
    ("nightschool_training_samples", "samples", "Rows of the last training"),
    ("nightschool_training_cpu_ratio", "cpu_percent / 100", "Processors that the last training kept busy"),
    ("nightschool_training_gpu_memory_bytes", "gpu_memory_used_mb * 1e6", "Most GPU memory of the last training"),
    ("nightschool_training_network_bytes", "network_mb * 1e6", "Network traffic during the last training"),
)


def families(db: sqlite3.Connection) -> Iterator[Metric]:
    """All of them."""
    reached = _reached(db)
    yield counter(
        "evolution_attempts",
        "Attempts to become better that got as far as this status; what was deployed was trained before",
        ["agent_id", "evolution_type", "status"],
        ((*key, count) for key, count in reached.items()),
    )
    yield counter(
        "nightschool_attempts",
        "Attempts, each once, whatever came of it; a night without anything to do is none",
        ["agent_id", "evolution_type"],
        db.execute("SELECT agent, evolution_type, SUM(status != 'nothing') FROM evolution_metrics GROUP BY 1, 2"),
    )
    for name, status, meaning in (
        ("autogen_training_completed", "trained", "Trainings that brought forth a candidate"),
        ("autogen_deployment_success", "deployed", "Candidates that were deployed"),
        ("autogen_rollback_triggered", "rolled_back", "Deployed candidates that were rolled back"),
    ):
        total = sum(count for key, count in reached.items() if key[2] == status)
        yield counter(name, meaning, [], [(total,)])
    yield _durations(db)
    yield from _last_attempt(db)
    yield from _last_per_agent(db)
    yield from _kpis(db)


def _reached(db: sqlite3.Connection) -> Counter[tuple[str, str, str]]:
    """How many attempts of (agent, type) reached a status; zeros too, so that the first one is an increase."""
    found: Counter[tuple[str, str, str]] = Counter()
    kinds = db.execute("SELECT DISTINCT agent, evolution_type FROM evolution_metrics")
    found.update({(agent, kind, status): 0 for agent, kind in kinds for status in REACHED})
    rows = db.execute(
        "SELECT agent, evolution_type, status, generation IS NOT NULL, error IS NOT NULL, COUNT(*)"
        f" FROM {_KNOWN} GROUP BY 1, 2, 3, 4, 5"
    )
    for agent, kind, status, trained, erred, attempts in rows:
        before = {"trained": trained, "failed": erred}
        for each in {*REACHED.get(status, (status,)), *(name for name, was in before.items() if was)}:
            found[agent, kind, each] += attempts
    return found


def _durations(db: sqlite3.Connection) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "evolution_duration_seconds", "How long attempts took", labels=["agent_id", "evolution_type"]
    )
    within = ", ".join(f"SUM(seconds <= {bound})" for bound in DURATIONS)
    rows = db.execute(f"SELECT agent, evolution_type, SUM(seconds), COUNT(*), {within} FROM {_ENDED} GROUP BY 1, 2")
    for agent, kind, seconds, attempts, *counts in rows:
        buckets = [(str(float(bound)), float(count)) for bound, count in zip(DURATIONS, counts, strict=True)]
        family.add_metric([agent, kind], [*buckets, ("+Inf", float(attempts))], seconds)
    return family


def _last_attempt(db: sqlite3.Connection) -> Iterator[Metric]:
    """Gauges without labels: of the last attempt, of whatever model, that measured it."""

    def last(expression: str) -> list[tuple[float]]:
        return db.execute(
            f"SELECT {expression} AS value FROM evolution_metrics WHERE value IS NOT NULL"
            " ORDER BY started_at DESC LIMIT 1"
        ).fetchall()

    yield gauge("autogen_training_loss", "Loss at the end of the last training", [], last("loss"))
    yield gauge(
        "autogen_quality_improvement_ratio",
        "Gain of the last judged candidate, relative to the model before it: 0.2 is a fifth better",
        [],
        last("(performance_after - performance_before) / NULLIF(performance_before, 0)"),
    )
    yield gauge("evolution_memory_used_mb", "Most memory of the last training, in MB", [], last("memory_used_mb"))
    yield gauge(
        "autogen_training_duration_seconds",
        "How long the last training took",
        [],
        db.execute(
            "SELECT seconds FROM system_events WHERE kind = 'stage' AND name = 'train' AND exit_code = 0"
            " AND seconds IS NOT NULL ORDER BY at DESC LIMIT 1"
        ),
    )
    yield gauge(
        "autogen_agent0_rewrite_success_rate",
        "Share of the last night's failures for which a better answer was found",
        [],
        db.execute(
            "SELECT rewrite_success_rate FROM kpi_snapshots WHERE rewrite_success_rate IS NOT NULL"
            " ORDER BY at DESC LIMIT 1"
        ),
    )


def _last_per_agent(db: sqlite3.Connection) -> Iterator[Metric]:
    """Gauges of each model: of its last attempt that measured them."""
    for name, expression, meaning in _MEASURED:
        # SQLite takes a bare column from the row that has the maximum.
        rows = db.execute(
            f"SELECT agent, {expression} AS value, MAX(started_at) FROM evolution_metrics"
            " WHERE value IS NOT NULL GROUP BY agent"
        )
        yield gauge(name, meaning, ["agent_id"], (row[:2] for row in rows))
    yield gauge(
        "nightschool_last_attempt_timestamp_seconds",
        "When the last attempt began; a night without anything to do is none",
        ["agent_id"],
        db.execute("SELECT agent, MAX(started_at) FROM evolution_metrics WHERE status != 'nothing' GROUP BY agent"),
    )
    yield gauge(
        "nightschool_last_progress_timestamp_seconds",
        "When the last attempt began whose candidate serves; before the first of them, when the first attempt began",
        ["agent_id"],
        db.execute(
            "SELECT agent, COALESCE(MAX(started_at) FILTER (WHERE status = 'deployed'), MIN(started_at))"
            " FROM evolution_metrics WHERE status != 'nothing' GROUP BY agent"
        ),
    )


def _kpis(db: sqlite3.Connection) -> Iterator[Metric]:
    """Each KPI as it was last measured."""
    found = [
        (agent, name, value)
        for name in KpiSnapshot.names()
        for agent, value, _ in db.execute(
            f"SELECT agent, {name}, MAX(at) FROM kpi_snapshots WHERE {name} IS NOT NULL GROUP BY agent"
        )
    ]
    yield gauge("agent_kpi_current", "The KPIs, as they were last measured", ["agent_id", "kpi_name"], found)
