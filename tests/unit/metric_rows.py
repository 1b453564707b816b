"""What the tests of the metrics share: rows, a store in another process, what its tables must agree in."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.metrics.rows import QueryMetric
from pipeline.metrics.store import reading
from pipeline.metrics.summaries import bucket

AT = 1_763_596_800.0  # 2025-11-20, 00:00 UTC

_SUMMED = """
    SELECT date(at, 'unixepoch') AS day, agent, query_type, count(*),
        sum(ifnull(error, 'client_gone') NOT IN ('client_gone', 'invalid_request_error')),
        total(latency_ms), count(latency_ms), total(first_token_ms), count(first_token_ms),
        ifnull(sum(tokens), 0), total(confidence), count(confidence)
    FROM query_metrics GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_SAID = """
    SELECT date(at, 'unixepoch') AS day, agent, sum(ifnull(thumb = 1, 0)), sum(ifnull(thumb = -1, 0)), sum(comment),
        sum(edited), sum(ifnull(success = 1, 0)), sum(ifnull(success = 0, 0))
    FROM feedback_metrics GROUP BY 1, 2 ORDER BY 1, 2
"""
_TIMES = "SELECT date(at, 'unixepoch'), agent, query_type, latency_ms FROM query_metrics WHERE latency_ms IS NOT NULL"


def asked(number: int, at: float = AT, **known: Any) -> QueryMetric:
    return QueryMetric(f"{number:024x}", at, "starter", **{"latency_ms": 20.0, "tokens": 3, **known})


def identities(path: Path) -> list[str]:
    """The requests in the store, in the order in which they came; and its daily tables agree with them."""
    with reading(path) as db:
        assert_summed_up(db)
        return [row["interaction_id"] for row in db.execute("SELECT interaction_id FROM query_metrics ORDER BY id")]


def assert_summed_up(db: sqlite3.Connection) -> None:
    """The daily tables are what adding up the rows gives; sums of fractions but for their last digits."""
    for summed, table in ((_SUMMED, "daily_summaries"), (_SAID, "daily_feedback")):
        wanted = [tuple(row) for row in db.execute(summed)]
        found = [tuple(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]
        assert [_rounded(row) for row in found] == [_rounded(row) for row in wanted]
    counted: dict[tuple[Any, ...], int] = {}
    for *key, latency in db.execute(_TIMES):
        counted[(*key, bucket(latency))] = counted.get((*key, bucket(latency)), 0) + 1
    assert {tuple(row)[:4]: row[4] for row in db.execute("SELECT * FROM daily_latencies")} == counted


def _rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row)


def process(path: Path, what: str, *arguments: object) -> "subprocess.Popen[str]":
    """Another process: `store` is the store at `path` in it, `asked` makes rows."""
    code = (
        "import os, signal, sys, time\nfrom pathlib import Path\nfrom metric_rows import AT, asked\n"
        f"from pipeline.metrics.store import MetricsStore\npath = Path(sys.argv[1])\n{what}"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    command = [sys.executable, "-c", code, str(path), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
