"""What failed, and may be shown to a teacher: written to the day's two files of failures.

The hold-out is set apart here, before anything is rewritten; secrets and personal data go here, before anybody sees
them.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from pipeline.backends.checks import run as checks
from pipeline.backends.executors.interface import Executor
from pipeline.backends.sources.configured import Configured, configured
from pipeline.backends.sources.failures import SAME_QUESTION, Found, failures
from pipeline.backends.sources.interface import Row
from pipeline.hygiene.scrubbing import Scrubbing
from pipeline.lib import exclusions, harvests, jsonl, questions
from pipeline.lib.config import Settings
from pipeline.lib.files import publishing
from pipeline.lib.harvests import HarvestFiles

_HELD_OUT = "held out this week, for the canary"
_BATCH = 500  # rows


def selected(
    settings: Settings, since: float | None, until: float, executor: Executor, found: Found
) -> Iterator[tuple[Row, str | None]]:
    """Every failure, and for what goes no further the reason.

    Without `since` a source is read from where the last harvest that could read it ended, at least over the last
    `harvest.hours`; one that was never read, from its beginning.
    """
    now, share, group = time.time(), settings.dataset.hidden_share, settings.dataset.hidden_by
    excluded = exclusions.read(settings.layout)
    windows = _windows(settings, since, until)
    found.places = {source.name: source.place for source, _ in windows}
    for row, stays in failures(windows, until, executor, found):
        if not stays:
            yield row, SAME_QUESTION
        elif reason := excluded.reason(row["id"], row.get("user")):
            yield row, reason
        else:
            hidden = questions.is_hidden(row, share, row["at"], now, group) and checks.usable(row.get("check"))
            yield row, _HELD_OUT if hidden else None


def _windows(settings: Settings, since: float | None, until: float) -> list[tuple[Configured, float]]:
    sources = configured(settings)
    if since is not None:
        return [(source, since) for source in sources]
    last = harvests.last_read(settings.layout)
    recent = until - settings.harvest.hours * 3600
    return [(each, min(recent, last.get(each.place, last.get(each.name, 0.0)))) for each in sources]


def write(
    settings: Settings, files: HarvestFiles, chosen: Iterator[tuple[Row, str | None]], executor: Executor
) -> dict[str, Any]:
    """Write both files; returns how many were left out, by reason, and what was removed, by class.

    What an earlier harvest of the day found stays, unless this one has found it again.
    """
    left_out: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    again: set[str] = set()
    scrubbing = Scrubbing(settings.hygiene)
    with publishing(files.failures) as kept, publishing(files.left_out) as others:
        for rows, gone in executor.map(scrubbing, _kept(chosen, others, left_out)):
            removed.update(gone)
            kept.write(b"".join(map(jsonl.encode, rows)))
            again.update(row["id"] for row in rows)
        for row in jsonl.read(files.failures):
            if row["id"] not in again:
                kept.write(jsonl.encode(row))
    return {
        "left_out": dict(left_out),
        "removed": dict(removed),
        "looked_for_names": scrubbing.looks_for_names,
    }


def _kept(chosen: Iterator[tuple[Row, str | None]], others: IO[bytes], left_out: Counter[str]) -> Iterator[list[Row]]:
    """What goes on, in batches; the others are written down as they pass."""
    batch: list[Row] = []
    for row, reason in chosen:
        if reason is None:
            batch.append(row)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        else:
            left_out[reason] += 1
            signal = row["verdict"]["signal"]
            others.write(jsonl.encode({"interaction_id": row["id"], "signal": signal, "reason": reason}))
    if batch:
        yield batch
