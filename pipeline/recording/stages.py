"""Every stage leaves its mark in the metrics store, when it ends, however it ends.

reads   what the stage has left on the disk (`nights`, `snapshots`), `training_data/patterns.jsonl`
writes  `logs/metrics.sqlite`: an event for each stage; the night's row, the KPIs, what strategies have brought and
        what training took, after stages that know more of it

Nothing here changes how a stage ends: what cannot be recorded is one warning.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from pipeline.evolution import history
from pipeline.lib import runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import BusyError, Ending, ExitCode, RolledBack, UsageError
from pipeline.lib.generations import BASE
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems
from pipeline.metrics.resources import Sampler
from pipeline.metrics.rows import KpiSnapshot, Row, Strategy, SystemEvent
from pipeline.metrics.store import MetricsStore, reading
from pipeline.recording.nights import STAGES, evolution_of
from pipeline.recording.snapshots import snapshot_of

_SAMPLED = ("harvest", "train")
_TELLING = (*STAGES, "rollback", "reject", "validate")  # after these, more is known of a night
_MEASURED = ("canary", "deploy", "rollback", "validate")  # and after these the KPIs may be others
_SUBJECTS = ("candidate", "from", "to", "yesterday", "today")  # results that name a generation


@dataclass(slots=True)
class Recording:
    """A stage that is being recorded; `outputs` is its result, as far as there is one."""

    run: str
    name: str
    outputs: dict[str, Any] = field(default_factory=dict)


@contextmanager
def recording(settings: Settings, run: str, name: str) -> Iterator[Recording]:
    """Record the stage that is the block; `train` and `harvest` are watched while they run."""
    stage, store = Recording(run, name), _store(settings)
    sampler = Sampler(run, name, settings.metrics.resource_seconds, store.add) if name in _SAMPLED else None
    began, clock = time.time(), time.monotonic()
    ended: BaseException | None = None
    try:
        with sampler or nullcontext():
            yield stage
    except BaseException as error:
        ended = error
        raise
    finally:
        try:
            store.add(_event(stage, ended, began, time.monotonic() - clock))
            store.flush()  # a store that is corrupt is made anew before anything is read from it
            for row in _rows(settings, stage, sampler):
                store.add(row)
        except Exception as error:  # no trouble of ours is the stage's
            logger.warning("not all of %s is recorded: %s: %s", name, type(error).__name__, error)
        finally:
            store.close()


def _store(settings: Settings) -> MetricsStore:
    wanted = settings.metrics
    return MetricsStore(settings.layout.metrics, rows=wanted.buffer_rows, seconds=wanted.buffer_seconds)


def _event(stage: Recording, ended: BaseException | None, began: float, seconds: float) -> SystemEvent:
    """How it ended, in the name of the ending: the words of an error may be somebody's."""
    code = ExitCode.DONE if ended is None else getattr(ended, "exit_code", ExitCode.FAILED)
    numbers = {name: value for name, value in stage.outputs.items() if isinstance(value, int | float)}
    return SystemEvent(
        at=began,
        kind="stage",
        name=stage.name,
        severity=_severity(ended),
        run=stage.run,
        exit_code=int(code),
        seconds=round(seconds, 3),
        message="done" if ended is None else type(ended).__name__,
        details=orjson.dumps(numbers).decode() if numbers else None,
    )


def _severity(ended: BaseException | None) -> Literal["info", "warning", "error"]:
    if isinstance(ended, RolledBack | BusyError | UsageError):
        return "warning"
    return "info" if ended is None or isinstance(ended, Ending) else "error"


def _rows(settings: Settings, stage: Recording, sampler: Sampler | None) -> Iterator[Row]:
    if stage.name in _TELLING:
        rows = [row for night in _nights(stage) if (row := evolution_of(settings, night))]
        if sampler is not None and stage.name == "train":
            rows = [replace(row, **sampler.summary()) for row in rows]
        yield from rows
    if stage.name in _MEASURED:
        yield snapshot(settings)
    if stage.name == "harvest":
        yield from strategies(settings)


def _nights(stage: Recording) -> list[str]:
    """The nights that the stage was about: those of the generations that it names, else its own."""
    named = {str(stage.outputs[each]) for each in _SUBJECTS if each in stage.outputs} - {BASE}
    if not named and stage.name in STAGES:
        named = {stage.run}
    return sorted({runs.night_of(each) for each in named})


def snapshot(settings: Settings) -> KpiSnapshot:
    """The KPIs after what has just been done; the night is that of the generation trained last."""
    layout = settings.layout
    row = evolution_of(settings, runs.night_of(layout.latest.readlink().name)) if layout.latest.is_symlink() else None
    with reading(layout.metrics) as db:
        return snapshot_of(settings, db, row)


def strategies(settings: Settings) -> Iterator[Strategy]:
    """What each way of drawing answers has brought against each pattern of failures, all nights together."""
    past = history.read(settings.layout.patterns, Problems())  # the harvest has named what cannot be read
    tried: Counter[tuple[str, str]] = Counter()
    solved: Counter[tuple[str, str]] = Counter()
    for attempt in past.attempts.values():
        key = attempt.pattern, f"temperature {attempt.temperature:g}, top-p {attempt.top_p:g}"
        tried[key] += 1
        solved[key] += attempt.solved
    now = time.time()
    for (pattern, strategy), attempts in tried.items():
        yield Strategy(settings.model.name, pattern, strategy, attempts, solved[pattern, strategy], now)
