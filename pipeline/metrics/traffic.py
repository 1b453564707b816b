"""What was asked and answered in the last days: counts, latencies, query types, satisfaction, trends.

reads   daily_summaries, daily_latencies, daily_feedback; never the rows of single requests, so that ten million of
        them cost nothing

A window of `days` days ends with the day of `now` (UTC) and includes it. Shares are 0 to 1, times are milliseconds,
None is "not measured". Every function takes an open connection with `sqlite3.Row` as its row factory.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, get_args

from pipeline.metrics.intervals import wilson
from pipeline.metrics.rows import QueryType
from pipeline.metrics.summaries import BUCKET, SUMS
from pipeline.metrics.trends import Histogram, trends

_ADDED_UP = ", ".join(f"SUM({name}) AS {name}" for name in SUMS)
_ADDED_UP += ", SUM(CASE WHEN query_type IN ('history', 'both') THEN queries ELSE 0 END) AS history"
_ADDED_UP += ", SUM(CASE WHEN query_type IN ('tools', 'both') THEN queries ELSE 0 END) AS tools"
_OPINIONS = ("thumbs_up", "thumbs_down", "comments", "edits", "successes", "failures")
QUANTILES = (0.5, 0.95)


def daily(db: sqlite3.Connection, days: int, now: float, agent: str | None = None) -> list[dict[str, Any]]:
    """One {day, queries, errors, error_rate, latency_ms {mean, p50, p95}, …} a day, oldest first, quiet days too."""
    window = _days(days, now)
    found = {row["day"]: dict(row) for row in _select(db, f"day, {_ADDED_UP}", "daily_summaries", window, agent, "day")}
    histograms: dict[str, Histogram] = {}
    counted = "day, bucket, SUM(queries) AS queries"
    for row in _select(db, counted, "daily_latencies", window, agent, "day, bucket"):
        histograms.setdefault(row["day"], {})[row["bucket"]] = row["queries"]
    return [{"day": day, **_numbers(found.get(day, {}), histograms.get(day, {}))} for day in window]


def totals(db: sqlite3.Connection, days: int, now: float, agent: str | None = None) -> dict[str, Any]:
    """The numbers of a day of `daily`, for the whole window, with `since` and `until` (both days included)."""
    window = _days(days, now)
    row = _select(db, _ADDED_UP, "daily_summaries", window, agent)[0]
    return {"since": window[0], "until": window[-1], **_numbers(dict(row), _histogram(db, window, agent))}


def query_types(db: sqlite3.Connection, days: int, now: float, agent: str | None = None) -> dict[str, dict[str, Any]]:
    """{trained, tools, history, both: {queries, share, interval}}: what the answers were made from."""
    counted = "query_type, SUM(queries) AS queries"
    rows = _select(db, counted, "daily_summaries", _days(days, now), agent, "query_type")
    counts = dict.fromkeys(get_args(QueryType), 0) | {row["query_type"]: row["queries"] for row in rows}
    total = sum(counts.values())
    return {
        name: {"queries": count, "share": _ratio(count, total), "interval": wilson(count, total)}
        for name, count in counts.items()
    }


def satisfaction(db: sqlite3.Connection, days: int, now: float, agent: str | None = None) -> dict[str, Any]:
    """Of the opinions, how many are thumbs up: {thumbs_up, thumbs_down, comments, edits, n, rate, interval, …}.

    An answer that somebody wrote anew counts as down, whatever the thumb says. `rate` and `interval` (Wilson's, 95 %)
    are none where nobody said anything: 0 of 0 is not measured. `daily` has the same a day.
    """
    window = _days(days, now)
    sums = ", ".join(f"SUM({name}) AS {name}" for name in _OPINIONS)
    by_day = {row["day"]: dict(row) for row in _select(db, f"day, {sums}", "daily_feedback", window, agent, "day")}
    whole = {name: sum(row[name] for row in by_day.values()) for name in _OPINIONS}
    return {
        **_opinion(whole),
        "daily": [{"day": day, **_opinion(by_day.get(day, dict.fromkeys(_OPINIONS, 0)))} for day in window],
    }


def latency_quantiles(
    db: sqlite3.Connection,
    days: int,
    now: float,
    quantiles: Sequence[float] = QUANTILES,
    agent: str | None = None,
) -> dict[str, float | None]:
    """{"p50": …} in milliseconds, each within 5 % of the exact one (nearest rank); none without requests."""
    return _quantiles(_histogram(db, _days(days, now), agent), quantiles)


def week(db: sqlite3.Connection, days: int, now: float, agent: str | None = None) -> dict[str, Any]:
    """All of it: {agent, days, totals, daily, query_types, satisfaction, before, trends}.

    `before` has the totals of the window before this one; of `trends`, `pipeline/metrics/trends.py` tells.
    """
    earlier = now - days * 86_400
    sides = [
        (
            totals(db, days, end, agent),
            satisfaction(db, days, end, agent),
            _histogram(db, _days(days, end), agent),
        )
        for end in (earlier, now)
    ]
    return {
        "agent": agent,
        "days": days,
        "totals": sides[1][0],
        "daily": daily(db, days, now, agent),
        "query_types": query_types(db, days, now, agent),
        "satisfaction": sides[1][1],
        "before": sides[0][0],
        "trends": trends(*sides),
    }


def _days(days: int, now: float) -> list[str]:
    last = datetime.fromtimestamp(now, UTC).date()
    return [(last - timedelta(days=back)).isoformat() for back in reversed(range(days))]


def _select(
    db: sqlite3.Connection, columns: str, table: str, window: list[str], agent: str | None, group: str = ""
) -> list[sqlite3.Row]:
    """Only the constants of this module become part of the statement."""
    where = "day BETWEEN ? AND ?" + (" AND agent = ?" if agent is not None else "")
    statement = f"SELECT {columns} FROM {table} WHERE {where}" + (f" GROUP BY {group}" if group else "")
    return db.execute(statement, [window[0], window[-1], *([agent] if agent is not None else [])]).fetchall()


def _histogram(db: sqlite3.Connection, window: list[str], agent: str | None) -> Histogram:
    rows = _select(db, "bucket, SUM(queries) AS queries", "daily_latencies", window, agent, "bucket")
    return {row["bucket"]: row["queries"] for row in rows}


def _quantiles(histogram: Histogram, quantiles: Sequence[float]) -> dict[str, float | None]:
    """The middle (geometric) of the bucket in which the value of this rank lies."""
    total = sum(histogram.values())
    found: dict[str, float | None] = {}
    for quantile in quantiles:
        rank, seen, value = max(1, ceil(quantile * total)), 0, None
        for bucket in sorted(histogram):
            seen += histogram[bucket]
            if seen >= rank:
                value = BUCKET ** (bucket + 0.5)
                break
        found[f"p{100 * quantile:g}"] = value
    return found


def _numbers(row: dict[str, Any], histogram: Histogram) -> dict[str, Any]:
    """A row of sums, made readable; nothing measured is none."""
    sums = {name: row.get(name) or 0 for name in (*SUMS, "history", "tools")}
    queries = sums["queries"]
    return {
        "queries": queries,
        "errors": sums["errors"],
        "error_rate": _ratio(sums["errors"], queries),
        "error_interval": wilson(sums["errors"], queries),
        "latency_ms": {
            "mean": _ratio(sums["latency_ms_sum"], sums["latency_ms_count"]),
            **_quantiles(histogram, QUANTILES),
        },
        "first_token_ms": _ratio(sums["first_token_ms_sum"], sums["first_token_ms_count"]),
        "tokens": sums["tokens"],
        "tokens_a_query": _ratio(sums["tokens"], queries),
        "confidence": _ratio(sums["confidence_sum"], sums["confidence_count"]),
        "history": sums["history"],
        "history_share": _ratio(sums["history"], queries),
        "tools": sums["tools"],
        "tools_share": _ratio(sums["tools"], queries),
    }


def _opinion(counts: dict[str, int]) -> dict[str, Any]:
    up, total = counts["thumbs_up"], counts["thumbs_up"] + counts["thumbs_down"] + counts["edits"]
    return {**counts, "n": total, "rate": _ratio(up, total), "interval": wilson(up, total)}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
