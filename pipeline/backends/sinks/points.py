"""Rows of the store as points of InfluxDB, the same point whenever a row is sent: a repetition overwrites itself.

A point is told from others by measurement, tags and time. Tags are few and fixed from a row's birth on (who, which
kind), all else is a field. Rows of one microsecond are told apart by their nanoseconds, which are taken from what is in
the row: its id would be another one when the store is made anew.
"""

import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """How a table is sent; the measurement has its name.

    Columns are tags, fields, or not sent (`id`, and `interaction_id`, which is of no use outside).
    """

    name: str
    tags: tuple[str, ...]
    moment: str = "at"


# Rows that are never written again are sent once, in the order of their ids …
APPENDED = (
    Table("query_metrics", ("agent", "query_type")),
    Table("feedback_metrics", ("agent",)),
    Table("kpi_snapshots", ("agent",)),
    Table("system_events", ("kind", "name", "severity")),
    Table("resource_samples", ("stage",)),
)
# … and those that are, with every export: a few a night.
REWRITTEN = (
    Table("evolution_metrics", ("agent", "run"), "started_at"),
    Table("evolution_strategies", ("agent", "pattern", "strategy")),
)

_NOT_SENT = {"id", "interaction_id"}


def lines(table: Table, rows: Iterable[sqlite3.Row]) -> list[str]:
    """Line protocol, one line a row, times in nanoseconds; values that were not measured are left out."""
    from influxdb_client import Point

    found = []
    for row in rows:
        point = Point(table.name)
        for column, value in dict(row).items():
            if column in _NOT_SENT or column == table.moment or value is None:
                continue
            if column in table.tags:
                point.tag(column, value)
            else:
                point.field(column, " ".join(value.split()) if isinstance(value, str) else value)
        point.time(_nanoseconds(table, row))
        found.append(point.to_line_protocol())
    return [each for each in found if each]


def _nanoseconds(table: Table, row: sqlite3.Row) -> int:
    """The row's moment to the microsecond, and three digits of its own for a row that is written once."""
    moment = int(row[table.moment] * 1e6) * 1000
    if table in REWRITTEN:
        return moment
    columns = row.keys()
    content = row["interaction_id"] if "interaction_id" in columns else repr([row[each] for each in columns[1:]])
    return moment + zlib.crc32(content.encode()) % 1000
