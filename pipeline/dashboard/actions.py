"""approve, reject, roll back: what a person may ask for on the page.

The stages are the ones that the command line plays, under the same locks, with the same lines in `logs/runs.jsonl`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from pipeline.approve import approve, reject
from pipeline.dashboard import locks
from pipeline.dashboard.shapes import Action, Done
from pipeline.dashboard.state import State
from pipeline.deploy import deploy
from pipeline.lib import generations, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import BusyError, Refused
from pipeline.notify import tell
from pipeline.rollback import rollback

Job = Callable[[Settings, str], dict[str, Any]]

IDENTITY = r"^[0-9A-Za-z-]{1,40}$"  # never a path

_SWAPPING = ("deploy", "rollback", "switch-base")  # each has a lock of its own
_WHO = "asked for on the dashboard"


class Play(Protocol):
    """Plays a stage under its lock and writes down how it ended, as the command line does."""

    def __call__(self, name: str, run: str | None, dry_run: bool, job: Job) -> dict[str, Any]:
        """The stage's result; its parameters are those of `commands.common.stage_result`."""


class Asked(BaseModel):
    """The body of a POST: which generation, and what the person saw when deciding."""

    model_config = ConfigDict(extra="forbid")

    generation: str = Field(pattern=IDENTITY)
    sha256: str | None = Field(description="of its tensors; null for the bare base")
    current: str = Field(pattern=IDENTITY, description="what serves now")
    reason: str = Field("", max_length=500)


class Actions:
    """Carries out one at a time."""

    def __init__(self, state: State, play: Play) -> None:
        self._state, self._play = state, play
        self._guard = threading.Lock()

    def carry_out(self, action: Action, asked: Asked) -> Done:
        """Do it; a deployment takes as long as its watch.

        Raises:
            BusyError: another action is under way, or a stage holds the lock.
            Refused: what the person saw is not what is there any more.
            NightschoolError: what the stage says.
        """
        with self._alone(action, asked):
            self._require_unchanged(asked)
            result = getattr(self, f"_{action}")(asked)
        return {
            "action": action,
            "generation": asked.generation,
            "words": _words(action, asked, result),
            "result": result,
        }

    @contextmanager
    def _alone(self, action: Action, asked: Asked) -> Iterator[None]:
        if not self._guard.acquire(blocking=False):
            raise BusyError(f"{self._state.action} is still under way", "wait until it has ended")
        try:
            self._state.action = f"{action} {asked.generation}"
            yield
        finally:
            self._state.action = None
            self._guard.release()

    def _require_unchanged(self, asked: Asked) -> None:
        layout = self._state.layout
        swapping = [stage for stage in locks.held(layout) if stage in _SWAPPING]
        if swapping:
            raise BusyError(
                f"{swapping[0]} is already running", "what serves may be another in a moment: wait, look again"
            )
        current, chosen = generations.incumbent(layout), generations.read(layout, asked.generation)
        if current.id != asked.current:
            raise Refused(f"{current.id} serves now, no longer {asked.current}", "look again, then decide again")
        if (chosen.id, chosen.sha256) != (asked.generation, asked.sha256):
            raise Refused(f"{asked.generation} is not what it was when you looked", "look again, then decide again")

    def _approve(self, asked: Asked) -> dict[str, Any]:
        chosen = asked.generation
        said = self._play("approve", chosen, False, lambda settings, _: approve(settings, chosen, None, False))
        try:
            deployed = self._play("deploy", chosen, False, lambda settings, run: deploy(settings, chosen, run, False))
        finally:
            self._tell(chosen)
        return {**said, "deployed": deployed}

    def _reject(self, asked: Asked) -> dict[str, Any]:
        chosen, reason = asked.generation, asked.reason or "no reason given"
        return self._play("reject", chosen, False, lambda settings, _: reject(settings, chosen, None, reason, False))

    def _rollback(self, asked: Asked) -> dict[str, Any]:
        to, reason = asked.generation, asked.reason or _WHO
        run = runs.current_run(self._state.layout)
        done = self._play("rollback", run, False, lambda settings, run: rollback(settings, to, reason, run, False))
        self._tell(run)
        return done

    def _tell(self, run: str) -> None:
        """As after a night; the page does not wait for receivers that hang."""
        threading.Thread(target=tell, args=(self._state.settings, run)).start()


def _words(action: Action, asked: Asked, result: dict[str, Any]) -> str:
    if action == "approve":
        return f"{asked.generation} is approved, deployed, and answers."
    if action == "reject":
        return f"{asked.generation} is rejected and will never be deployed."
    if result.get("proven"):
        return f"Rolled back to {asked.generation}, which answers."
    return f"Rolled back to {asked.generation} on the disk, but NOT proven: {result.get('engine_error')}"
