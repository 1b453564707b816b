"""The daily tables: what a batch of rows adds to them, in the transaction that writes the rows themselves."""

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from pipeline.metrics.rows import FeedbackMetric, QueryMetric
from pipeline.metrics.sql import insert

BUCKET = 1.1  # each bucket of latencies ends at so many times its beginning
_SHORTEST = 0.001  # milliseconds; what is measured as less, or as nothing, goes into its bucket
_LOG_BUCKET = math.log(BUCKET)
_DAY = 86_400

# What one request adds to its day.
SUMS = (
    "queries",
    "errors",
    "latency_ms_sum",
    "latency_ms_count",
    "first_token_ms_sum",
    "first_token_ms_count",
    "tokens",
    "confidence_sum",
    "confidence_count",
)
# Kinds of errors, as the gateway names them, that say nothing of the model: people stop an answer, or ask nonsense.
_NO_FAILURES = (None, "client_gone", "invalid_request_error")
_SAID = ("thumbs_up", "thumbs_down", "comments", "edits", "successes", "failures")


def bucket(latency_ms: float) -> int:
    """The bucket of a latency: that of 1.1 ^ bucket to 1.1 ^ (bucket + 1) milliseconds."""
    return math.floor(math.log(max(latency_ms, _SHORTEST)) / _LOG_BUCKET)


def day(at: float) -> str:
    """The UTC day of a moment, YYYY-MM-DD.

    Raises:
        ValueError, OverflowError, OSError: no calendar has it.
    """
    return _day(int(at // _DAY))


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return f"{datetime.fromtimestamp(number * _DAY, UTC):%Y-%m-%d}"


def add_queries(db: sqlite3.Connection, rows: Iterable[QueryMetric]) -> None:
    """Add requests to `daily_summaries` and `daily_latencies`."""
    sums: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0] * len(SUMS))
    latencies: Counter[tuple[str, str, str, int]] = Counter()
    for row in rows:
        key = (day(row.at), row.agent, row.query_type)
        total = sums[key]
        total[0] += 1
        total[1] += row.error not in _NO_FAILURES
        total[6] += row.tokens or 0
        for place, value in ((2, row.latency_ms), (4, row.first_token_ms), (7, row.confidence)):
            if value is not None:
                total[place] += value
                total[place + 1] += 1
        if row.latency_ms is not None:
            latencies[(*key, bucket(row.latency_ms))] += 1
    _add(db, "daily_summaries", ("day", "agent", "query_type"), SUMS, [(*key, *sums[key]) for key in sums])
    keys = ("day", "agent", "query_type", "bucket")
    _add(db, "daily_latencies", keys, ("queries",), [(*key, count) for key, count in latencies.items()])


def add_feedback(db: sqlite3.Connection, rows: Iterable[FeedbackMetric]) -> None:
    """Add what was said about answers to `daily_feedback`."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(_SAID))
    for row in rows:
        total = sums[day(row.at), row.agent]
        said = (row.thumb == 1, row.thumb == -1, row.comment, row.edited, row.success is True, row.success is False)
        for place, value in enumerate(said):
            total[place] += value
    _add(db, "daily_feedback", ("day", "agent"), _SAID, [(*key, *sums[key]) for key in sums])


def _add(
    db: sqlite3.Connection,
    table: str,
    keys: tuple[str, ...],
    sums: tuple[str, ...],
    rows: list[tuple[float | str, ...]],
) -> None:
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
    insert(db, table, (*keys, *sums), rows, f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}")
