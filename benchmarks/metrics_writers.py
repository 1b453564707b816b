"""Processes that record into one store: how fast they are together, and what a kill takes."""

import multiprocessing
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from typing import Any

from pipeline.metrics import database
from pipeline.metrics.rows import QueryMetric
from pipeline.metrics.store import MetricsStore, reading
from pipeline.metrics.summaries import add_queries, bucket

PROCESSES = 4
BUFFER = 100

_forked = multiprocessing.get_context("fork")


def request(writer: int, number: int) -> QueryMetric:
    """One request of many; `adapter` says whose, `tokens` the how manieth."""
    return QueryMetric(
        f"{writer:08x}{number:016x}", time.time(), "starter", str(writer), 5.0 + number % 400, 3.0, number, 0.9, True
    )


def buffered(path: Path, writer: int, count: int) -> None:
    """The store."""
    with MetricsStore(path, rows=BUFFER) as store:
        for number in range(count):
            store.add(request(writer, number))


def one_by_one(path: Path, writer: int, count: int) -> None:
    """The plain way: each row in a transaction of its own, with its additions to the daily tables."""
    names = list(asdict(request(0, 0)))
    insert = f"INSERT INTO query_metrics ({', '.join(names)}, query_type) VALUES ({', '.join('?' * len(names))}, ?)"
    with closing(database.connect(path)) as db:
        for number in range(count):
            row = request(writer, number)
            with database.transaction(db):
                db.execute(insert, (*asdict(row).values(), row.query_type))
                add_queries(db, [row])


def sqlite_utils(path: Path, writer: int, count: int) -> None:
    """A well-kept library, a row a call; without the daily tables."""
    from sqlite_utils import Database

    with closing(database.connect(path)) as db:
        db.isolation_level = ""
        table = Database(db)["query_metrics"]
        for number in range(count):
            row = request(writer, number)
            table.insert({**asdict(row), "query_type": row.query_type})


def speed(folder: Path, way: Callable[[Path, int, int], None], count: int) -> float:
    """Rows a second of all processes together, from their common start until the last has closed its store.

    Raises:
        SystemExit: a row is missing or doubled, or a process failed.
    """
    path = folder / f"{way.__name__}.sqlite"
    database.connect(path).close()
    start = _forked.Barrier(PROCESSES + 1)

    def work(writer: int) -> None:
        start.wait()
        way(path, writer, count)

    workers = [_forked.Process(target=work, args=(writer,)) for writer in range(PROCESSES)]
    for worker in workers:
        worker.start()
    start.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begun
    with reading(path) as db:
        rows, different = db.execute("SELECT count(*), count(DISTINCT interaction_id) FROM query_metrics").fetchone()
    if any(worker.exitcode for worker in workers) or not rows == different == PROCESSES * count:
        raise SystemExit(f"{way.__name__}: {rows} rows, {different} different ones of {PROCESSES * count}")
    return rows / seconds


def kills(folder: Path, rounds: int, seed: int = 0) -> dict[str, Any]:
    """In each round two processes write as fast as they can, and are killed at random moments.

    Returns: of all of them `added` rows, `flushed` those that a flush had returned from, `lost` of these, the `most`
    that one process lost of the others, `doubled`, and whether the daily tables `agree` with the rows.
    """
    path, chance = folder / "killed.sqlite", random.Random(seed)
    counts = _forked.Array("q", 4 * rounds, lock=True)
    for round_ in range(rounds):
        writers = [_forked.Process(target=_write, args=(path, counts, 2 * round_ + each)) for each in (0, 1)]
        for writer in writers:
            writer.start()
        for writer in writers:
            time.sleep(chance.uniform(0.02, 0.6))
            writer.kill()
        for writer in writers:
            writer.join()
    return _survived(path, counts, 2 * rounds)


def _write(path: Path, counts: "SynchronizedArray[int]", writer: int) -> None:
    """Counts in memory that outlives it what it adds, and what it has flushed."""
    chance = random.Random(writer)
    told = counts.get_obj()
    store, number = MetricsStore(path, rows=BUFFER), 0
    while True:
        store.add(request(writer, number))
        number += 1
        told[2 * writer] = number
        if chance.random() < 0.005 and store.flush():
            told[2 * writer + 1] = number


def _survived(path: Path, counts: "SynchronizedArray[int]", writers: int) -> dict[str, Any]:
    question = (
        "SELECT count(*), count(DISTINCT tokens), ifnull(max(tokens) + 1, 0) FROM query_metrics WHERE adapter = ?"
    )
    found = {"added": 0, "flushed": 0, "lost": 0, "most": 0, "doubled": 0}
    with reading(path) as db:
        for writer in range(writers):
            added, flushed = counts[2 * writer], counts[2 * writer + 1]
            rows, different, last = db.execute(question, (str(writer),)).fetchone()
            found["added"] += added
            found["flushed"] += flushed
            found["doubled"] += rows - different
            found["lost"] += max(0, flushed - different) + (last - different)  # nor may one be missing in between
            found["most"] = max(found["most"], added - different)
        return {**found, "agree": _agree(db)}


def _agree(db: sqlite3.Connection) -> bool:
    days = (
        "SELECT date(at, 'unixepoch') AS day, count(*), total(latency_ms), sum(tokens) FROM query_metrics GROUP BY day"
    )
    sums = "SELECT day, sum(queries), total(latency_ms_sum), sum(tokens) FROM daily_summaries GROUP BY day"
    times: dict[int, int] = {}
    for latency, count in db.execute("SELECT latency_ms, count(*) FROM query_metrics GROUP BY latency_ms"):
        times[bucket(latency)] = times.get(bucket(latency), 0) + count
    buckets = dict(map(tuple, db.execute("SELECT bucket, sum(queries) FROM daily_latencies GROUP BY bucket")))
    return [tuple(row) for row in db.execute(days)] == [tuple(row) for row in db.execute(sums)] and buckets == times
