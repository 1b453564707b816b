"""Millions of requests in a store, and the figures of a week: from the daily tables, and from the rows themselves."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.metrics import database
from pipeline.metrics.sql import insert
from pipeline.metrics.store import reading
from pipeline.metrics.summaries import BUCKET, bucket, day

DAY = 86_400
DAYS = 30
WEEK = 7
NOW = 1_764_201_600.0  # 2025-11-27, 00:00 UTC

Figures = dict[str, Any]

# 1,000 different latencies with a long tail, three models, all four types; spread evenly over the days.
_FILL = f"""
    INSERT INTO query_metrics
        (interaction_id, at, agent, adapter, query_type, latency_ms, first_token_ms, tokens, confidence, success, error,
        history, tools)
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count)
    SELECT printf('%024x', n), {NOW} - (n + 0.5) * {DAYS * DAY}.0 / :count, 'model-' || (n % 3), '20261120T020000Z',
        CASE n % 7 WHEN 5 THEN 'tools' WHEN 6 THEN 'history' WHEN 4 THEN 'both' ELSE 'trained' END,
        20.0 + 1000000.0 / (1000 + (n * 7919) % 1000 * 40), 12.5, n % 200, 0.75, n % 10 > 0,
        CASE WHEN n % 97 = 0 THEN 'server_error' END, n % 7 IN (4, 6), n % 7 IN (4, 5)
    FROM numbers
"""
_SUM = """
    INSERT INTO daily_summaries
    SELECT date(at, 'unixepoch') AS day, agent, query_type, count(*), count(error), total(latency_ms),
        count(latency_ms), total(first_token_ms), count(first_token_ms), total(tokens), total(confidence),
        count(confidence)
    FROM query_metrics GROUP BY 1, 2, 3
"""
_TIMES = """
    SELECT date(at, 'unixepoch'), agent, query_type, latency_ms, count(*) FROM query_metrics GROUP BY 1, 2, 3, 4
"""


def fill(path: Path, count: int) -> None:
    """A store with so many requests, and with what they add up to."""
    with closing(database.connect(path)) as db, database.transaction(db):
        db.execute(_FILL, {"count": count})
        db.execute(_SUM)
        counted: dict[tuple[Any, ...], int] = {}
        for *key, latency, queries in db.execute(_TIMES):
            counted[(*key, bucket(latency))] = counted.get((*key, bucket(latency)), 0) + queries
        columns = ("day", "agent", "query_type", "bucket", "queries")
        insert(db, "daily_latencies", columns, [(*key, queries) for key, queries in counted.items()])


def week_from_summaries(db: sqlite3.Connection) -> Figures:
    """What a report of seven days needs: requests and errors by day and type, mean and quantiles of the latency."""
    since = day(NOW - WEEK * DAY)
    daily = "SELECT day, sum(queries), sum(errors), sum(latency_ms_sum) / sum(latency_ms_count), sum(tokens)"
    types = "SELECT query_type, sum(queries)"
    where = "FROM daily_summaries WHERE day >= ? GROUP BY 1 ORDER BY 1"
    buckets = "SELECT bucket, sum(queries) FROM daily_latencies WHERE day >= ? GROUP BY 1 ORDER BY 1"
    counts = [tuple(row) for row in db.execute(buckets, (since,))]
    return {
        "days": [tuple(row) for row in db.execute(f"{daily} {where}", (since,))],
        "types": [tuple(row) for row in db.execute(f"{types} {where}", (since,))],
        "p50_ms": _quantile(counts, 0.5),
        "p95_ms": _quantile(counts, 0.95),
    }


def _quantile(counts: list[tuple[Any, ...]], share: float) -> float:
    """The middle of the bucket in which it lies."""
    left = share * sum(queries for _, queries in counts)
    for bucket_, queries in counts:
        left -= queries
        if left <= 0:
            return float(BUCKET ** (bucket_ + 0.5))
    raise ValueError("no requests")


def week_from_rows(db: sqlite3.Connection) -> Figures:
    """The same from the requests themselves, in plain SQL; the quantiles are exact."""
    since = {"since": NOW - WEEK * DAY}
    daily = "SELECT date(at, 'unixepoch'), count(*), count(error), avg(latency_ms), sum(tokens)"
    types = "SELECT query_type, count(*)"
    where = "FROM query_metrics WHERE at >= :since GROUP BY 1 ORDER BY 1"
    quantile = """
        SELECT latency_ms FROM query_metrics WHERE at >= :since ORDER BY latency_ms LIMIT 1
        OFFSET (SELECT CAST(count(*) * :share AS INTEGER) FROM query_metrics WHERE at >= :since)
    """
    return {
        "days": [tuple(row) for row in db.execute(f"{daily} {where}", since)],
        "types": [tuple(row) for row in db.execute(f"{types} {where}", since)],
        "p50_ms": db.execute(quantile, {**since, "share": 0.5}).fetchone()[0],
        "p95_ms": db.execute(quantile, {**since, "share": 0.95}).fetchone()[0],
    }


def measure(path: Path, count: int) -> dict[str, Any]:
    """Fill, ask both ways.

    Returns: seconds of `summaries` (the file opened for it) and `rows`, `megabytes` of the store, whether both `agree`
    in everything but the quantiles, and the largest `deviation` of these (a share).
    """
    fill(path, count)
    seconds: dict[str, float] = {}
    found: dict[str, Figures] = {}
    for name, ask in (("summaries", week_from_summaries), ("rows", week_from_rows)):
        begun = time.perf_counter()
        with reading(path) as db:
            found[name] = ask(db)
        seconds[name] = time.perf_counter() - begun
    short, exact = found["summaries"], found["rows"]
    return {
        **{name: round(value, 4) for name, value in seconds.items()},
        "megabytes": round(path.stat().st_size / 1e6),
        "agree": _close(short["days"], exact["days"]) and short["types"] == exact["types"],
        "deviation": max(abs(short[name] / exact[name] - 1) for name in ("p50_ms", "p95_ms")),
    }


def _close(days: list[tuple[Any, ...]], others: list[tuple[Any, ...]]) -> bool:
    """Equal but for the last digits of the mean, which depend on the order of the additions."""
    return [[*row[:3], f"{row[3]:.9g}", row[4]] for row in days] == [
        [*row[:3], f"{row[3]:.9g}", row[4]] for row in others
    ]
