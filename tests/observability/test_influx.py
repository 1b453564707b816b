"""Rows in InfluxDB: all of them, each once, also when it was away for a while."""

import time
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import Home
from filled_store import DAY, a_week, fill
from programs import free_port, influx

from pipeline.lib.layout import Layout
from pipeline.metrics.rows import EvolutionMetric, QueryMetric
from pipeline.metrics.store import reading

TABLES = (
    "query_metrics",
    "feedback_metrics",
    "kpi_snapshots",
    "resource_samples",
    "evolution_metrics",
    "evolution_strategies",
)


@pytest.fixture
def filled(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    fill(Layout(home.folder).metrics, a_week())
    return home


def ask(url: str, query: str, **more: str) -> list[Any]:
    answer = requests.post(f"{url}/query", params={"db": "night", "q": query, **more}, timeout=30)
    assert answer.ok, answer.text
    result = answer.json()["results"][0]
    assert "error" not in result, result
    return [row for series in result.get("series", []) for row in series["values"]]


def counts(url: str) -> dict[str, int]:
    """How many points there are, by the field that each row has."""
    fields = {
        "query_metrics": "history",
        "feedback_metrics": "comment",
        "kpi_snapshots": "run",
        "resource_samples": "run",
        "evolution_metrics": "seconds",
        "evolution_strategies": "attempts",
    }
    found = {table: ask(url, f"SELECT COUNT({fields[table]}) FROM {table}") for table in TABLES}
    return {table: rows[0][1] if rows else 0 for table, rows in found.items()}


def stored(home: Home) -> dict[str, int]:
    with reading(Layout(home.folder).metrics) as db:
        return {table: db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in TABLES}


def use(home: Home, url: str) -> None:
    home.environment["NIGHTSCHOOL_SINKS__INFLUX_URL"] = url
    home.environment["NIGHTSCHOOL_SINKS__INFLUX_DATABASE"] = "night"


def requests_of(number: int, began: float) -> list[QueryMetric]:
    return [QueryMetric(f"new-{each}", began + each / 1000, "starter", latency_ms=5.0) for each in range(number)]


def test_every_row_arrives_once_however_often_it_is_sent(filled: Home, tmp_path: Path):
    with influx(tmp_path / "influx") as url:
        ask(url, "CREATE DATABASE night")
        use(filled, url)
        assert filled.result("export-metrics")["influx"]["sent"] > 300
        assert counts(url) == stored(filled)
        # What was remembered is lost: all is sent once more, over itself.
        (filled.folder / "logs" / "sinks.json").unlink()
        filled.result("export-metrics")
        assert counts(url) == stored(filled)
        values = ask(url, "SELECT SUM(latency_ms), MAX(latency_ms) FROM query_metrics WHERE agent = 'starter'")
        assert values[0][1:] == [20.0 * 40 * 41 / 2 * 7, 800.0]
        # A second export has only the rows to send that are written again and again.
        assert filled.result("export-metrics")["influx"]["sent"] < 20


def test_what_an_outage_kept_back_arrives_afterwards_without_loss_or_doubles(filled: Home, tmp_path: Path):
    port, folder, store = free_port(), tmp_path / "influx", Layout(filled.folder).metrics
    with influx(folder, port) as url:
        ask(url, "CREATE DATABASE night")
        use(filled, url)
        filled.result("export-metrics")
    fill(store, requests_of(12_000, time.time() - 100))  # more than two batches
    away = filled.run("export-metrics")
    assert away.returncode == 69
    assert "InfluxDB was not reached: ConnectionError" in away.stderr
    fill(store, requests_of(50, time.time()))
    with influx(folder, port) as url:
        filled.result("export-metrics")
        assert counts(url) == stored(filled)


def test_a_row_that_is_written_again_takes_its_own_place(filled: Home, tmp_path: Path):
    store, began = Layout(filled.folder).metrics, time.time()
    with influx(tmp_path / "influx") as url:
        ask(url, "CREATE DATABASE night")
        use(filled, url)
        for status in ("trained", "deployed"):
            fill(store, [EvolutionMetric("starter", "tonight", "sft", status, began, 60)])
            filled.result("export-metrics")
        rows = ask(url, "SELECT status FROM evolution_metrics WHERE run = 'tonight'")
    assert [row[1] for row in rows] == ["deployed"]


def test_rows_older_than_the_database_keeps_them_do_not_hold_up_the_others(filled: Home, tmp_path: Path):
    fill(Layout(filled.folder).metrics, requests_of(10, time.time() - 60))
    with influx(tmp_path / "influx") as url:
        ask(url, "CREATE DATABASE night WITH DURATION 1d")
        use(filled, url)
        done = filled.run("export-metrics")
        assert done.returncode == 0, done.stderr
        assert "keeps only newer rows" in done.stderr
        kept = ask(url, f"SELECT COUNT(history) FROM query_metrics WHERE time > {int((time.time() - DAY) * 1e9)}")
    assert kept[0][1] == 10


def test_a_login_is_used_and_never_shown(filled: Home, tmp_path: Path):
    with influx(tmp_path / "influx", auth=True) as url:
        ask(url, "CREATE USER night WITH PASSWORD 'T0S3CR3T' WITH ALL PRIVILEGES")
        ask(url, "CREATE DATABASE night", u="night", p="T0S3CR3T")
        place = url.removeprefix("http://")
        use(filled, f"http://night:T0S3CR3T@{place}")
        filled.result("export-metrics")
        use(filled, f"http://night:T0S3CR3T-wrong@{place}")
        refused = filled.run("export-metrics")
    assert refused.returncode == 69
    assert "HTTP 401" in refused.stderr
    for text in (refused.stderr, (filled.folder / "logs" / "nightschool.log").read_text()):
        assert "T0S3CR3T" not in text
    assert "T0S3CR3T" not in filled.run("config", "show").stdout


def test_a_database_that_is_not_there_is_said(filled: Home, tmp_path: Path):
    with influx(tmp_path / "influx") as url:
        use(filled, url)
        refused = filled.run("export-metrics")
    assert refused.returncode == 69
    assert 'HTTP 404 database not found: "night"' in refused.stderr
