"""A home with nights and a full store, made from a seed, for the dashboard's benchmark."""

import math
import random
import sqlite3
import time
from pathlib import Path

from pipeline.lib import generations, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.files import write_json
from pipeline.metrics.schema import MIGRATIONS
from pipeline.metrics.summaries import BUCKET

_DAYS = 90
_QUESTIONS = 200  # of a canary
_ROWS = """
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :requests)
    INSERT INTO query_metrics
        (id, interaction_id, at, agent, adapter, query_type, latency_ms, tokens, confidence, success)
    SELECT n, printf('%024x', n), :begin + n * :step, 'starter', 'base',
        CASE n % 10 WHEN 0 THEN 'both' WHEN 1 THEN 'tools' WHEN 2 THEN 'history' ELSE 'trained' END,
        (SELECT ms FROM buckets WHERE bucket = :low + n * 7919 % :wide), 40, 0.8, 1
    FROM numbers
"""
_SUMS = """
    CREATE TEMP TABLE sums AS
    SELECT CAST(at / 86400 AS INTEGER) AS day, query_type, :low + id * 7919 % :wide AS bucket, COUNT(*) AS queries,
        SUM(latency_ms) AS ms
    FROM query_metrics GROUP BY 1, 2, 3
"""
_SUMMARIES = (
    "INSERT INTO daily_summaries (day, agent, query_type, queries, latency_ms_sum, latency_ms_count, tokens, "
    "confidence_sum, confidence_count) SELECT date(day * 86400, 'unixepoch'), 'starter', query_type, SUM(queries), "
    "SUM(ms), SUM(queries), 40 * SUM(queries), 0.8 * SUM(queries), SUM(queries) FROM sums GROUP BY day, query_type",
    "INSERT INTO daily_latencies "
    "SELECT date(day * 86400, 'unixepoch'), 'starter', query_type, bucket, queries FROM sums",
    "INSERT INTO daily_feedback SELECT day, agent, SUM(queries) / 100, SUM(queries) / 400, 0, 0, SUM(queries) / 2, "
    "SUM(queries) / 5 FROM daily_summaries GROUP BY day, agent",
)


def make(home: Path, requests: int, nights: int, chance: random.Random) -> None:
    """Nights that end with tonight's, and so many requests over the last 90 days."""
    (home / "logs").mkdir()
    layout = Settings(home=home).layout
    parent, success, now = generations.BASE, 0.5, time.time()
    for night in range(nights):
        at = now - (nights - night) * 86_400
        run = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        better = min(0.95, success + chance.uniform(-0.01, 0.04))
        _generation(layout.generation(run), run, parent, success, better, chance)
        lines = [
            {"run": run, "stage": stage, "status": "done", "exit_code": 0, "at": at + 60 * number, "seconds": 60.0}
            for number, stage in enumerate(("harvest", "build-dataset", "train", "canary", "deploy"))
        ]
        jsonl.append(layout.runs, [{**line, "outputs": {}} for line in lines], durable=False)
        generations.make_current(layout, generations.read(layout, run), generations.PROMOTED, run, "b")
        parent, success = run, better
    _store(layout.metrics, requests, now)


def _generation(folder: Path, run: str, parent: str, before: float, after: float, chance: random.Random) -> None:
    folder.mkdir(parents=True)
    curve = [
        {"step": step, "loss": 2 / step, "learning_rate": 1 / step, "grad_norm": chance.random()}
        for step in range(10, 1000, 10)
    ]
    jsonl.write(folder / "training_curve.jsonl", curve)
    rows = [
        {
            "id": str(number),
            "messages": [{"role": "user", "content": f"question {number}"}],
            "candidate": {"text": "PUSH #1\n" * 10, "passed": chance.random() < after, "error": None},
            "incumbent": {"text": "PUSH #2\n" * 10, "passed": chance.random() < before, "error": None},
        }
        for number in range(_QUESTIONS)
    ]
    jsonl.write(folder / "canary.jsonl", rows)
    sides = {
        name: {"success": share, "interval": [share - 0.04, share + 0.04]}
        for name, share in (("incumbent", before), ("candidate", after))
    }
    verdict = {"outcome": "pass", "reason": "better", "incumbent": parent, "candidate_sha256": run, "checks": []}
    write_json(folder / "verdict.json", {**verdict, "suites": {"holdout": {"n": _QUESTIONS, **sides}}})
    manifest = {"id": run, "parent": parent, "dataset": {"rows": 300}, "base": {"sha256": "b"}}
    metrics = {"steps": 1000, "loss": 0.1, "rows": 300, "seconds": 8.0}
    write_json(folder / "generation.json", {**manifest, "metrics": metrics, "sha256": {generations.ADAPTER_FILE: run}})


def _store(path: Path, requests: int, now: float) -> None:
    """Rows and their daily sums, as the store would have written them; latencies are whole buckets."""
    db = sqlite3.connect(path, isolation_level=None)
    for number, migration in enumerate(MIGRATIONS, start=1):
        db.executescript(migration)
        db.execute(f"PRAGMA user_version = {number}")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA journal_mode = OFF")
    low = int(math.log(20, BUCKET))
    wide = int(math.log(2000, BUCKET)) - low
    db.execute("CREATE TEMP TABLE buckets (bucket INTEGER PRIMARY KEY, ms REAL)")
    db.executemany("INSERT INTO buckets VALUES (?, ?)", [(n, BUCKET ** (n + 0.5)) for n in range(low, low + wide)])
    numbers = {"requests": requests, "begin": now - _DAYS * 86_400, "step": _DAYS * 86_400 / requests}
    db.execute("BEGIN")
    db.execute(_ROWS, {**numbers, "low": low, "wide": wide})
    db.execute(_SUMS, {"low": low, "wide": wide})
    for statement in _SUMMARIES:
        db.execute(statement)
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


def from_single_requests(home: Path) -> float:
    """Milliseconds that the counts, shares and quantiles of the last 7 days take from the rows themselves."""
    db = sqlite3.connect(home / "logs" / "metrics.sqlite")
    since = time.time() - 7 * 86_400
    begun = time.perf_counter()
    count = db.execute(
        "SELECT COUNT(*), AVG(latency_ms), SUM(error IS NOT NULL), SUM(tokens) FROM query_metrics WHERE at >= ?",
        [since],
    ).fetchone()[0]
    for skipped in (count // 2, int(count * 0.95)):
        statement = "SELECT latency_ms FROM query_metrics WHERE at >= ? ORDER BY latency_ms LIMIT 1 OFFSET ?"
        db.execute(statement, [since, skipped]).fetchone()
    db.execute("SELECT query_type, COUNT(*) FROM query_metrics WHERE at >= ? GROUP BY 1", [since]).fetchall()
    taken = (time.perf_counter() - begun) * 1000
    db.close()
    return taken
