"""What every stage leaves in logs/runs.jsonl: when it ran, how it ended, what it made."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.errors import DiskError, Ending, ExitCode, NightschoolError
from pipeline.lib.layout import Layout, checked_run, new_run
from pipeline.lib.logs import logger

# What a night consists of, and what brings back the day before.
NIGHT = ("doctor", "harvest", "build-dataset", "train", "canary", "deploy", "rollback")


@dataclass(slots=True)
class Stage:
    """A stage that is running; `outputs` goes into its line."""

    run: str
    name: str
    outputs: dict[str, Any] = field(default_factory=dict)


def current_run(layout: Layout, given: str | None = None) -> str:
    """The run that this process belongs to.

    Args:
        layout: where earlier runs left their files.
        given: a run id; or `dataset`, `latest`, `last`: the run of the latest dataset, of the generation trained last,
            of the last stage of a night in the log. NIGHTSCHOOL_RUN comes before these three.
            None, or nothing found: a new run.
    """
    if given not in (None, "dataset", "latest", "last"):
        return checked_run(str(given))
    if run := os.environ.get("NIGHTSCHOOL_RUN"):
        return checked_run(run)
    found: str | None = None
    if given == "dataset":
        found = max((path.parent.name for path in layout.training_data.glob("[0-9]*/dataset.json")), default=None)
    elif given == "latest" and layout.latest.is_symlink():
        found = layout.latest.readlink().name
    elif given == "last":
        found = next(
            (str(line["run"]) for line in reversed(list(jsonl.read(layout.runs))) if line["stage"] in NIGHT), None
        )
    return found or new_run(layout)


@contextmanager
def recorded(layout: Layout, run: str, name: str) -> Iterator[Stage]:
    """Append one line about the block when it ends, however it ends."""
    stage = Stage(run, name)
    started, clock = time.time(), time.monotonic()
    status, code, message = "done", ExitCode.DONE, ""
    try:
        yield stage
    except Ending as ending:
        status, code, message = type(ending).__name__, ending.exit_code, str(ending)
        raise
    except NightschoolError as error:
        status, code, message = "failed", error.exit_code, str(error)
        raise
    except BaseException as error:
        status, code, message = "failed", ExitCode.FAILED, type(error).__name__
        raise
    finally:
        line = {
            "run": run,
            "stage": name,
            "status": status,
            "exit_code": int(code),
            "at": started,
            "seconds": round(time.monotonic() - clock, 3),
            "outputs": stage.outputs,
        }
        try:
            jsonl.append(layout.runs, [{**line, "message": message} if message else line])
        except DiskError as error:
            if code == ExitCode.DONE:
                raise
            logger.error("%s", error)  # how the stage ended is worth more than that it cannot be written down


def of_night(layout: Layout, run: str) -> list[dict[str, Any]]:
    """The lines of a run and of the other rounds of its night (…Z, …Z-2), in the order in which the stages ended."""
    return [line for line in jsonl.read(layout.runs) if night_of(line["run"]) == night_of(run)]


def night_of(run: str) -> str:
    """The id that the rounds of a night have in common."""
    return run.partition("-")[0]
