"""Families about live traffic and feedback: sums over the daily roll-ups, which outlive the single rows.

reads   `daily_summaries`, `daily_latencies`, `daily_feedback`
"""

import sqlite3
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily

from pipeline.backends.sinks.shapes import counter

# The store counts latencies in steps of 10 %; every eighth step is a bucket: 10 ms, 21 ms, 45 ms, … 43 s.
STEPS = tuple(range(24, 113, 8))
_BASE = 1.1

_FEEDBACK = ("thumbs_up", "thumbs_down", "comments", "edits", "successes", "failures")


def families(db: sqlite3.Connection) -> Iterator[Metric]:
    """All of them."""
    by_type = ["agent_id", "query_type"]
    for name, column, meaning in (
        ("nightschool_queries", "queries", "Requests by what the answer was made from"),
        ("nightschool_query_errors", "errors", "Requests that failed"),
        ("nightschool_query_tokens", "tokens", "Tokens of answers"),
    ):
        sums = db.execute(f"SELECT agent, query_type, SUM({column}) FROM daily_summaries GROUP BY 1, 2")
        yield counter(name, meaning, by_type, sums)
    yield _latencies(db)
    yield _feedback(db)


def _latencies(db: sqlite3.Connection) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "nightschool_query_duration_seconds", "Time to the whole answer", labels=["agent_id"]
    )
    seconds = dict(db.execute("SELECT agent, SUM(latency_ms_sum) / 1000 FROM daily_summaries GROUP BY 1").fetchall())
    # Bucket b of the store ends at 1.1 ^ (b + 1) ms, so those below a step have lasted at most 1.1 ^ step.
    within = ", ".join(f"SUM(queries) FILTER (WHERE bucket < {step})" for step in STEPS)
    for agent, queries, *counts in db.execute(f"SELECT agent, SUM(queries), {within} FROM daily_latencies GROUP BY 1"):
        bounds = (f"{_BASE**step / 1000:.4g}" for step in STEPS)
        buckets = [(bound, float(count or 0)) for bound, count in zip(bounds, counts, strict=True)]
        family.add_metric([agent], [*buckets, ("+Inf", float(queries))], seconds.get(agent, 0.0))
    return family


def _feedback(db: sqlite3.Connection) -> Metric:
    sums = ", ".join(f"SUM({kind})" for kind in _FEEDBACK)
    samples = [
        (agent, kind, count)
        for agent, *counts in db.execute(f"SELECT agent, {sums} FROM daily_feedback GROUP BY 1")
        for kind, count in zip(_FEEDBACK, counts, strict=True)
    ]
    return counter("nightschool_feedback", "What was said about answers", ["agent_id", "kind"], samples)
