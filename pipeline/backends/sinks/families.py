"""All Prometheus families, computed from the store at the moment when they are asked for.

Counters are totals over what is stored, never of a process: a restart changes nothing, and two ways of asking (the
textfile, the gateway) say the same. They are summed over tables that are kept for good.

reads   `logs/metrics.sqlite`, `logs/sinks.json`, `logs/service.json`
"""

import logging
import sqlite3
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from pipeline.backends.sinks import families_of_days, families_of_health, families_of_nights, state
from pipeline.lib.errors import NightschoolError
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.metrics.store import reading


class StoreCollector(Collector):
    """See `prometheus_client`: what a registry asks for its families.

    Args:
        layout: where the store lies.
        arriving: the sink that what is collected goes to. For its reader it has arrived, or it would not be read.
    """

    def __init__(self, layout: Layout, arriving: str | None = None) -> None:
        self._layout = layout
        self._arriving = arriving

    def collect(self) -> Iterator[Metric]:
        """The families; those about the store's health only, where it cannot be read."""
        try:
            with reading(self._layout.metrics) as db:
                db.execute("BEGIN")  # one moment for all of them
                yield from [
                    *families_of_nights.families(db),
                    *families_of_days.families(db),
                    *families_of_health.of_stages(self._layout, db),
                    *families_of_health.of_store(self._layout, db),
                ]
        except (NightschoolError, sqlite3.Error) as error:
            # A server is asked every few seconds; what it answers says so, too.
            level = logging.WARNING if self._arriving else logging.DEBUG
            logger.log(level, "%s cannot be read: %s", self._layout.metrics, error)
            yield from families_of_health.of_store(self._layout, None)
        sinks = state.read(self._layout)
        if self._arriving:
            known = sinks.get(self._arriving, state.SinkState())
            sinks[self._arriving] = known.model_copy(update={"last_success": time.time(), "failing": False})
        yield from families_of_health.of_sinks(sinks)


def registry(layout: Layout, arriving: str | None = None) -> CollectorRegistry:
    """The families in a registry of their own."""
    found = CollectorRegistry()
    found.register(StoreCollector(layout, arriving))
    return found


def exposition(layout: Layout, arriving: str | None = None) -> bytes:
    """The families in Prometheus' text format: no timestamps, no `_created`."""
    return generate_latest(registry(layout, arriving))
