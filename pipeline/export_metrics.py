"""export-metrics: tell every configured sink what is in the store.

reads   `logs/metrics.sqlite`, `logs/sinks.json`
writes  the file `sinks.textfile`; sends to Pushgateway and InfluxDB; `logs/sinks.json`
"""

import time
from typing import Any

from pipeline.backends.sinks import choice, state
from pipeline.backends.sinks.interface import Sink, SinkError
from pipeline.backends.sinks.prometheus_textfile import PrometheusTextfile
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo, UnavailableError, UsageError
from pipeline.lib.logs import logger


def export_metrics(settings: Settings, textfile: str | None, dry_run: bool) -> dict[str, Any]:
    """Send to every sink; one that fails is a warning, and catches up the next time.

    Args:
        settings: section `sinks`.
        textfile: write only this file, whatever is configured.
        dry_run: only say where it would be sent.

    Returns:
        For each sink, by name, `sent` (bytes, families or rows) or why it `failed`.

    Raises:
        NothingToDo: no sink is configured.
        UnavailableError: none of them took it.
        UsageError: `textfile` has an ending that the collector does not read.
    """
    if textfile and not textfile.endswith(".prom"):
        raise UsageError(f"--textfile {textfile}: the textfile collector reads files that end in .prom")
    sinks = [PrometheusTextfile(settings.layout, textfile)] if textfile else choice.configured(settings)
    if not sinks:
        raise NothingToDo("no sink is configured", "set sinks.textfile, or another: see docs/observability.md")
    if dry_run:
        return {"dry_run": True, "sinks": [sink.name for sink in sinks]}
    results = {sink.name: _send(settings, sink) for sink in sinks}
    failures = [result["failed"] for result in results.values() if "failed" in result]
    if len(failures) == len(sinks):
        raise UnavailableError("; ".join(failures), "what is in the store is not lost: the next export sends it")
    return results


def _send(settings: Settings, sink: Sink) -> dict[str, Any]:
    try:
        sent = sink.send()
    except SinkError as error:
        logger.warning("%s: %s", sink.name, error)
        state.remember(settings.layout, sink.name, failing=True)
        return {"failed": str(error)}
    state.remember(settings.layout, sink.name, failing=False, last_success=time.time())
    return {"sent": sent}
