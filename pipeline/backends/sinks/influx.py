"""InfluxDB, version 1 (`/write?db=`) or 2 (`/api/v2/write`), by line protocol.

Rows go in batches, oldest first, and after each batch its last row is remembered: an export that failed goes on where
it stopped. A batch that had arrived without our knowing is sent again, over itself.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import requests

from pipeline.backends.sinks import points, state
from pipeline.backends.sinks.interface import SinkError
from pipeline.backends.sinks.points import Table
from pipeline.backends.sinks.state import Position
from pipeline.lib.errors import BadRecordError
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.sections import Sinks
from pipeline.metrics.store import reading

BATCH = 5000  # rows; what InfluxDB recommends
_LONGEST_REASON = 200  # characters


class Influx:
    """See `pipeline.backends.sinks.interface.Sink`. The URL may hold a login of version 1."""

    name = "influx"

    def __init__(self, layout: Layout, settings: Sinks) -> None:
        self._layout = layout
        self._timeout = settings.timeout
        self._token = settings.influx_token.get_secret_value() if settings.influx_token else ""
        base = str(settings.influx_url).rstrip("/")
        if settings.influx_database:
            self._url = f"{base}/write"
            self._query = {"db": settings.influx_database, "precision": "ns"}
        else:
            self._url = f"{base}/api/v2/write"
            self._query = {"org": str(settings.influx_org), "bucket": str(settings.influx_bucket), "precision": "ns"}
        where = f"{self._url} {sorted(self._query.items())}"
        self._destination = hashlib.sha256(where.encode()).hexdigest()[:16]

    def send(self) -> int:
        """Send what is new since the last time; returns the number of rows."""
        known = state.read(self._layout).get(self.name, state.SinkState())
        positions = dict(known.positions) if known.destination == self._destination else {}
        try:
            with reading(self._layout.metrics) as db, requests.Session() as session:
                new = sum(self._send_new(db, session, table, positions) for table in points.APPENDED)
                return new + sum(self._send_all(db, session, table) for table in points.REWRITTEN)
        except (BadRecordError, sqlite3.Error) as error:
            raise SinkError(f"the store cannot be read: {error}", "see docs/metrics.md") from error

    def _send_new(
        self, db: sqlite3.Connection, session: requests.Session, table: Table, positions: dict[str, Position]
    ) -> int:
        sent = 0
        for rows in _batches(db, table, positions.get(table.name)):
            self._post(session, points.lines(table, rows))
            sent += len(rows)
            positions[table.name] = Position(id=rows[-1]["id"], at=rows[-1]["at"])
            state.remember(self._layout, self.name, destination=self._destination, positions=positions)
        return sent

    def _send_all(self, db: sqlite3.Connection, session: requests.Session, table: Table) -> int:
        rows = db.execute(f"SELECT * FROM {table.name}").fetchall()
        for start in range(0, len(rows), BATCH):
            self._post(session, points.lines(table, rows[start : start + BATCH]))
        return len(rows)

    def _post(self, session: requests.Session, lines: list[str]) -> None:
        headers = {"Authorization": f"Token {self._token}"} if self._token else {}
        try:
            answer = session.post(
                self._url, params=self._query, data="\n".join(lines).encode(), headers=headers, timeout=self._timeout
            )
        except (requests.RequestException, ValueError) as error:  # ValueError: what urllib3 says of some bad URLs
            # Without its text: that holds the URL.
            raise SinkError(f"InfluxDB was not reached: {type(error).__name__}", "check sinks.influx_url") from None
        if answer.ok:
            return
        reason = _reason(answer, self._token)
        if answer.status_code in (400, 422) and "beyond retention policy" in reason:
            logger.warning("InfluxDB keeps only newer rows: %s", reason)
            return
        raise SinkError(f"InfluxDB did not take the rows: HTTP {answer.status_code} {reason}", "check [sinks] influx_…")


def _batches(db: sqlite3.Connection, table: Table, position: Position | None) -> Iterator[list[sqlite3.Row]]:
    """The rows behind a position, by their ids.

    A position counts if its row is still there. Where it is not, the table was retired as a whole or the store is a new
    one: all rows are sent, over those that are there.
    """
    last = 0
    if position is not None:
        row = db.execute(f"SELECT at FROM {table.name} WHERE id = ?", (position.id,)).fetchone()
        last = position.id if row is not None and row["at"] == position.at else 0
    while rows := db.execute(f"SELECT * FROM {table.name} WHERE id > ? ORDER BY id LIMIT ?", (last, BATCH)).fetchall():
        yield rows
        last = rows[-1]["id"]


def _reason(answer: requests.Response, secret: str) -> str:
    """What the server says about its refusal, on one line."""
    try:
        said: Any = answer.json()
    except ValueError:
        return ""
    text = str(said.get("error") or said.get("message") or "") if isinstance(said, dict) else ""
    shown = text.replace(secret, "…") if secret else text
    return " ".join(shown.split())[:_LONGEST_REASON]
