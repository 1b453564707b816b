"""Rows → the tables of the store. A row goes in together with what it adds to the daily tables, or not at all."""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from pipeline.metrics import summaries
from pipeline.metrics.rows import (
    EvolutionMetric,
    FeedbackMetric,
    KpiSnapshot,
    QueryMetric,
    ResourceSample,
    Row,
    Strategy,
    SystemEvent,
)
from pipeline.metrics.sql import insert

AnyRow = TypeVar("AnyRow", bound=Row)

_TABLES: dict[type[Row], str] = {
    QueryMetric: "query_metrics",
    FeedbackMetric: "feedback_metrics",
    EvolutionMetric: "evolution_metrics",
    KpiSnapshot: "kpi_snapshots",
    Strategy: "evolution_strategies",
    SystemEvent: "system_events",
    ResourceSample: "resource_samples",
}
_COLUMNS = {kind: tuple(field.name for field in fields(kind)) for kind in _TABLES}
_COLUMNS[QueryMetric] += ("query_type",)
_VALUES = {kind: attrgetter(*columns) for kind, columns in _COLUMNS.items()}
_KEYS: dict[type[Row], tuple[str, ...]] = {
    EvolutionMetric: ("agent", "run"),
    Strategy: ("agent", "pattern", "strategy"),
}


def _newer(kind: type[Row]) -> str:
    """Of two rows with the same key the later one counts, in all that it knows."""
    if kind not in _KEYS:
        return ""
    keys, table = _KEYS[kind], _TABLES[kind]
    known = ", ".join(
        f"{name} = COALESCE(excluded.{name}, {table}.{name})" for name in _COLUMNS[kind] if name not in keys
    )
    return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {known}"


_CONFLICTS = {kind: _newer(kind) for kind in _TABLES}

# What Python and SQLite say to a value that the tables do not take: a text that is no UTF-8, an integer of 30 digits.
_BAD_VALUES = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, ValueError, TypeError)
_BAD_ROW = (*_BAD_VALUES, OverflowError, AttributeError, sqlite3.DataError)


def write(db: sqlite3.Connection, rows: Sequence[AnyRow], oldest: float = -math.inf) -> list[tuple[AnyRow, Exception]]:
    """Write rows inside the caller's transaction.

    Args:
        db: the store, in a transaction.
        rows: they take effect in their order.
        oldest: requests and feedback from before this moment are only added to the daily tables.

    Returns: those that no table takes, with the reason; the others are written.

    Raises:
        sqlite3.Error: the file refuses, whatever the rows; roll back.
    """
    try:
        _in_savepoint(db, rows, oldest)
    except _BAD_ROW:
        return _one_by_one(db, rows, oldest)
    return []


def unrecorded(db: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
    """Without the requests and feedback that are there already: a rebuild may have read them in the logs."""
    there: dict[tuple[type[Row], float], set[str]] = {}
    left: list[Row] = []
    for row in rows:
        if isinstance(row, QueryMetric | FeedbackMetric):
            moment = (type(row), row.at)
            if moment not in there:
                there[moment] = _recorded_at(db, *moment)
            if row.interaction_id in there[moment]:
                continue
        left.append(row)
    return left


def _recorded_at(db: sqlite3.Connection, kind: type[Row], at: float) -> set[str]:
    try:
        return {row[0] for row in db.execute(f"SELECT interaction_id FROM {_TABLES[kind]} WHERE at = ?", (at,))}
    except _BAD_ROW:
        return set()  # no moment at all


def _one_by_one(db: sqlite3.Connection, rows: Sequence[AnyRow], oldest: float) -> list[tuple[AnyRow, Exception]]:
    refused: list[tuple[AnyRow, Exception]] = []
    for row in rows:
        try:
            _in_savepoint(db, [row], oldest)
        except _BAD_ROW as error:
            refused.append((row, error))
    return refused


def _in_savepoint(db: sqlite3.Connection, rows: Sequence[Row], oldest: float) -> None:
    db.execute("SAVEPOINT some")
    try:
        _insert(db, rows, oldest)
    except _BAD_ROW:
        db.execute("ROLLBACK TO some")
        raise
    finally:
        if db.in_transaction:
            db.execute("RELEASE some")


def _insert(db: sqlite3.Connection, rows: Sequence[Row], oldest: float) -> None:
    kinds: dict[type[Row], list[Any]] = {}
    for row in rows:
        kinds.setdefault(type(row), []).append(_finite(row) if type(row) is QueryMetric else row)
    for kind, same in kinds.items():
        if kind in (QueryMetric, FeedbackMetric):
            same = [row for row in same if row.at >= oldest]
        insert(db, _TABLES[kind], _COLUMNS[kind], [_VALUES[kind](row) for row in same], _CONFLICTS[kind])
    summaries.add_queries(db, kinds.get(QueryMetric, ()))
    summaries.add_feedback(db, kinds.get(FeedbackMetric, ()))


def _finite(row: QueryMetric) -> QueryMetric:
    """What is infinite or not a number was not measured: one such value would spoil the sums of a day."""
    measured = (row.latency_ms, row.first_token_ms, row.confidence)
    if all(value is None or math.isfinite(value) for value in measured):
        return row
    latency_ms, first_token_ms, confidence = (
        value if value is not None and math.isfinite(value) else None for value in measured
    )
    return replace(row, latency_ms=latency_ms, first_token_ms=first_token_ms, confidence=confidence)
