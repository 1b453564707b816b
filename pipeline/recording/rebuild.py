"""The store made anew: requests and feedback from the logs, nights and strategies from what they have left on the disk.

Snapshots, events and samples of resources stand nowhere else: those of the old store are taken over.
"""

import time
from typing import Any

from pipeline.lib.config import Settings
from pipeline.metrics.rebuild import rebuild as from_logs
from pipeline.metrics.store import MetricsStore, reading
from pipeline.recording.nights import evolutions, generation_of
from pipeline.recording.stages import strategies


def rebuild(settings: Settings) -> dict[str, Any]:
    """Make the store anew; it is replaced only when it is complete.

    Returns: how many `queries`, `feedback`, `nights` and `strategies` there are, and `problems` with lines of the logs.

    Raises:
        BusyError, DiskError, BadRecordError: the store is what it was.
    """
    layout, model = settings.layout, settings.model.name
    days = settings.metrics.retention_days
    read = from_logs(layout.metrics, layout.interactions, agent=model, days=days, now=time.time())
    with reading(layout.metrics) as db:
        known = {row["run"] for row in db.execute("SELECT run FROM evolution_metrics WHERE agent = ?", [model])}
    # Of a generation that clean-up has removed, the store knows more than the disk.
    nights = [each for each in evolutions(settings) if generation_of(layout, each.run) or each.run not in known]
    tried = list(strategies(settings))
    with MetricsStore(layout.metrics) as store:
        for night in nights:
            store.add(night)
        for strategy in tried:
            store.add(strategy)
    return {**read, "nights": len(nights), "strategies": len(tried), "store": str(layout.metrics)}
