"""Families about Nightschool itself: when each stage ran and how it ended, the store, the sinks.

reads   `system_events`, `logs/metrics.sqlite` as a file, `logs/sinks.json`, `logs/service.json`
"""

import shutil
import sqlite3
from collections.abc import Iterator

from prometheus_client import Metric

from pipeline.backends.sinks.shapes import gauge
from pipeline.backends.sinks.state import SinkState
from pipeline.lib.errors import BadRecordError, ExitCode
from pipeline.lib.files import read_json
from pipeline.lib.layout import Layout

_DATED = ("query_metrics", "feedback_metrics", "kpi_snapshots", "system_events", "resource_samples")


def of_stages(layout: Layout, db: sqlite3.Connection) -> Iterator[Metric]:
    """Of each stage: its last run, and the last that did not fail; `look`: of the service, which has quiet days."""
    last = db.execute(
        "SELECT name, MAX(at) AS at, exit_code, seconds FROM system_events WHERE kind = 'stage' GROUP BY name"
    ).fetchall()
    ran = [(row["name"], row["at"]) for row in last]
    yield gauge(
        "nightschool_stage_last_run_timestamp_seconds",
        "When a stage last ran; look: when the service last looked for new failures",
        ["stage"],
        [*ran, ("look", _last_look(layout))],
    )
    for name, column, meaning in (
        ("nightschool_stage_last_exit_code", "exit_code", "How it ended; from 64 on it failed"),
        ("nightschool_stage_last_duration_seconds", "seconds", "How long it took"),
    ):
        yield gauge(name, meaning, ["stage"], ((row["name"], row[column]) for row in last))
    yield gauge(
        "nightschool_stage_last_success_timestamp_seconds",
        "When it last ran without failing; a refused candidate is no failure",
        ["stage"],
        db.execute(
            "SELECT name, MAX(at) FROM system_events WHERE kind = 'stage' AND exit_code < ? GROUP BY name",
            (int(ExitCode.USAGE),),
        ),
    )


def _last_look(layout: Layout) -> float | None:
    """Seconds since 1970; none: there never was a service, or its file cannot be read."""
    try:
        at = read_json(layout.service).get("last_look")
    except BadRecordError:
        return None
    return at if isinstance(at, int | float) else None


def of_store(layout: Layout, db: sqlite3.Connection | None) -> Iterator[Metric]:
    """How the store is. `db` is none where it cannot be read."""
    yield gauge("nightschool_store_readable", "1 if the store can be read", [], [(float(db is not None),)])
    size = layout.metrics.stat().st_size if layout.metrics.is_file() else 0
    yield gauge("nightschool_store_size_bytes", "Size of logs/metrics.sqlite", [], [(size,)])
    free = shutil.disk_usage(layout.home).free
    yield gauge("nightschool_disk_free_bytes", "Free space where Nightschool's home is", [], [(free,)])
    if db is not None:
        newest = [(table, *db.execute(f"SELECT MAX(at) FROM {table}").fetchone()) for table in _DATED]
        yield gauge("nightschool_store_last_row_timestamp_seconds", "The newest row of a table", ["table"], newest)


def of_sinks(sinks: dict[str, SinkState]) -> Iterator[Metric]:
    """How each sink is that was tried at least once."""
    yield gauge(
        "nightschool_sink_last_success_timestamp_seconds",
        "When a sink last took everything; 0 is never",
        ["sink"],
        ((name, state.last_success) for name, state in sinks.items()),
    )
    yield gauge(
        "nightschool_sink_failing",
        "1 if a sink did not take the last export",
        ["sink"],
        ((name, float(state.failing)) for name, state in sinks.items()),
    )
