"""What telling others costs: a scrape of two years, and rows into a real InfluxDB.

python -m benchmarks.sinks [--quick] [--json]      (InfluxDB: `make observability`)

Beside the scrape, in the same run: the same counters counted from the single rows, which is what there would be without
daily sums (and would go down when rows are retired). Beside the batches: one request a row.
"""

import argparse
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks.table import Row, finish
from pipeline.backends.sinks import families, points
from pipeline.backends.sinks.influx import Influx
from pipeline.lib.layout import Layout
from pipeline.lib.sections import Sinks
from pipeline.metrics.rows import EvolutionMetric, KpiSnapshot, QueryMetric
from pipeline.metrics.store import MetricsStore, reading

DAY = 86_400.0
NOW = 1.8e9
_SETTINGS = """
reporting-disabled = true
bind-address = "127.0.0.1:{other}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), 50_000 if arguments.quick else 500_000)
    finish("sinks", as_rows(found), {"measured": found}, arguments.json, keep=not arguments.quick)


def measure(folder: Path, size: int) -> dict[str, Any]:
    """Fill a store with two years, then ask and send."""
    layout = Layout(folder / "home")
    layout.logs.mkdir(parents=True)
    with MetricsStore(layout.metrics, rows=1000) as store:
        for row in two_years(size):
            store.add(row)
    found: dict[str, Any] = {"requests": size}
    found["scrape_ms"] = milliseconds(lambda: families.exposition(layout), 20)
    found["counted_ms"] = milliseconds(lambda: counted(layout), 5)
    with influx(folder / "influx") as url:
        began = time.perf_counter()
        sent = Influx(layout, Sinks(influx_url=url, influx_database="night", timeout=60)).send()
        found["rows_a_second"] = round(sent / (time.perf_counter() - began))
        found["sent"], found["arrived"] = sent, arrived(url)
        found["single_rows_a_second"] = one_by_one(layout, url)
    return found


def two_years(size: int) -> Iterator[QueryMetric | EvolutionMetric | KpiSnapshot]:
    """A night a day, and `size` requests evenly over the days."""
    for day in range(730):
        at = NOW - (730 - day) * DAY
        yield EvolutionMetric("starter", f"r{day}", "sft", "deployed" if day % 3 else "refused", at, 400.0, loss=0.4)
        yield KpiSnapshot("starter", at, f"r{day}", held_out_success=0.5, live_success_rate=0.6, quality=0.5)
    for number in range(size):
        at = NOW - 730 * DAY * (1 - number / size)
        kind = number % 4
        latency = 20.0 + number % 2000
        yield QueryMetric(
            f"{number:024x}", at, "starter", latency_ms=latency, tokens=12, history=kind & 1, tools=kind & 2
        )


def counted(layout: Layout) -> list[Any]:
    """The traffic counters from the single rows."""
    columns = "agent, query_type, COUNT(*), COUNT(error), SUM(tokens), SUM(latency_ms)"
    with reading(layout.metrics) as db:
        return db.execute(f"SELECT {columns} FROM query_metrics GROUP BY 1, 2").fetchall()


def milliseconds(job: Callable[[], Any], times: int) -> float:
    """The median."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        job()
        found.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(found), 1)


@contextmanager
def influx(folder: Path) -> Iterator[str]:
    """InfluxDB 1 with an empty database."""
    ports = []
    for _ in range(2):
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            ports.append(door.getsockname()[1])
    folder.mkdir()
    settings = folder / "influxdb.conf"
    settings.write_text(_SETTINGS.format(folder=folder, port=ports[0], other=ports[1]))
    url = f"http://127.0.0.1:{ports[0]}"
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(["influxd", "-config", str(settings)], stderr=log) as server,
    ):
        try:
            for _ in range(300):
                time.sleep(0.1)
                try:
                    requests.post(f"{url}/query", params={"q": "CREATE DATABASE night"}, timeout=5).raise_for_status()
                    break
                except requests.RequestException:
                    continue
            yield url
        finally:
            server.terminate()


def arrived(url: str) -> int:
    """How many requests InfluxDB has."""
    query = {"db": "night", "q": "SELECT COUNT(history) FROM query_metrics"}
    answer = requests.get(f"{url}/query", params=query, timeout=120).json()
    return int(answer["results"][0]["series"][0]["values"][0][1])


def one_by_one(layout: Layout, url: str) -> int:
    """Rows a second with one request each."""
    with reading(layout.metrics) as db, requests.Session() as session:
        rows = db.execute("SELECT * FROM query_metrics LIMIT 300").fetchall()
        began = time.perf_counter()
        for line in points.lines(points.APPENDED[0], rows):
            session.post(f"{url}/write", params={"db": "night"}, data=line, timeout=30).raise_for_status()
        return round(len(rows) / (time.perf_counter() - began))


def as_rows(found: dict[str, Any]) -> list[Row]:
    """The table."""
    size, scrape, speed = found["requests"], found["scrape_ms"], found["rows_a_second"]
    return [
        Row(f"/metrics of two years ({size:,} requests), ms", "≤ 200", f"{scrape}", scrape <= 200),
        Row("… its traffic counted from the rows, ms", "–", f"{found['counted_ms']}", None),
        Row("rows a second into InfluxDB 1.6", "≥ 5,000", f"{speed:,}", speed >= 5_000),
        Row("… with a request each", "–", f"{found['single_rows_a_second']:,}", None),
        Row("requests lost or doubled there", "0", f"{abs(size - found['arrived'])}", found["arrived"] == size),
    ]


if __name__ == "__main__":
    main()
