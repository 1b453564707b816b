"""What the page shows, read from the disk. A part is read again only when one of its files has changed.

reads   everything below `loras/` and `logs/` that other modules of this package name; asks the gateway
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipeline.backends.gateway_client import GatewayClient
from pipeline.dashboard import activity, locks, nights, training
from pipeline.dashboard.advice import advice
from pipeline.dashboard.shapes import (
    EvolutionStatus,
    Line,
    Night,
    ServiceStatus,
    Stage,
    StatusData,
    TrainingStatus,
    Version,
)
from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError
from pipeline.lib.layout import Layout

Value = TypeVar("Value")
Stamp = tuple[Any, ...]

_NIGHTS = 60  # shown; a plot of more is a smear


class Health:
    """What the gateway said last; asked apart from the rest, for one that hangs takes its time."""

    def __init__(self, settings: Settings) -> None:
        self._client = GatewayClient(settings, timeout=5, retries=0)
        self._asked = -1.0
        self.said: dict[str, Any] | None = None
        self.reason: str | None = "it has not been asked yet"

    def ask(self) -> None:
        """Ask again, unless that was done within this second; takes up to five seconds."""
        if time.monotonic() - self._asked < 1:
            return
        self._asked = time.monotonic()
        try:
            self.said, self.reason = self._client.health(), None
        except NightschoolError as error:
            self.said, self.reason = None, str(error)

    @property
    def gateway(self) -> Literal["up", "down", "unknown"]:
        """`unknown` until it has been asked."""
        if self.said is not None:
            return "up"
        return "down" if self._asked > 0 else "unknown"


class State:
    """The installation as the page shows it; `look` is for one thread at a time."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.layout: Layout = settings.layout
        self.health = Health(settings)
        self.action: str | None = None
        self._clock = clock
        self._known: dict[str, tuple[Stamp, Any]] = {}

    def look(self) -> tuple[StatusData, list[Line]]:
        """The three cards and the last lines of the log."""
        running = locks.held(self.layout)
        disk, ledgers = _folders(self.layout), _stamps([self.layout.runs, self.layout.promotions])
        work = _stamps(training.watched(self.layout))
        log = _stamps([self.layout.logs / "nightschool.log"])
        service = self._service(running, self._remember("disk", disk, lambda: _on_disk(self.layout)))
        return {
            "service_status": service,
            "evolution_status": self._evolution(service, running, (disk, ledgers)),
            "training_status": self._remember(
                "training", (disk, work, "train" in running), lambda: self._training("train" in running)
            ),
        }, self._remember("activity", (log, ledgers), self._activity)

    def _remember(self, name: str, stamp: Stamp, read: Callable[[], Value]) -> Value:
        if self._known.get(name, (None,))[0] != stamp:
            self._known[name] = (stamp, read())
        found: Value = self._known[name][1]
        return found

    def _service(self, running: list[str], on_disk: Version) -> ServiceStatus:
        said = self.health.said or {}
        serving: Version | None = {"id": said["adapter"], "sha256": said["adapter_sha256"]} if said else None
        return {
            "gateway": self.health.gateway,
            "reason": self.health.reason,
            "model": self.settings.model.name,
            "engine": said.get("engine"),
            "serving": serving,
            "on_disk": on_disk,
            "agree": None if serving is None else serving == on_disk,
            "waiting": said.get("waiting"),
            "interactions_lost": said.get("interactions_lost"),
            "last_check": said.get("last_check") or {},
            "stages": running,
            "action": self.action,
        }

    def _evolution(self, service: ServiceStatus, running: list[str], stamp: Stamp) -> EvolutionStatus:
        now = self._clock()
        # The time in which a candidate may be approved ends without a file that changes.
        minute = int(now // 60)
        found, stages, awaiting, problem = self._remember(
            "nights", (*stamp, "night" in running, minute), lambda: self._nights("night" in running)
        )
        return {
            "nights": found[-_NIGHTS:],
            "nights_before": max(0, len(found) - _NIGHTS),
            "last_stages": stages,
            "awaiting": awaiting,
            "advice": advice(service, found, awaiting, now, locks.is_service_running(self.layout)),
            "problem": problem,
            "version": f"{hash((stamp, awaiting)) & 0xFFFFFFFFFFFF:012x}",
        }

    def _nights(self, is_night_running: bool) -> tuple[list[Night], list[Stage], str | None, str | None]:
        try:
            found = nights.all_nights(self.layout, is_night_running)
            return found, nights.last_stages(nights.lines(self.layout)), nights.awaiting(self.layout), None
        except NightschoolError as error:
            return [], [], None, str(error)

    def _training(self, is_training: bool) -> TrainingStatus:
        try:
            return training.training_status(self.layout, is_training)
        except NightschoolError:  # the same file is named by the evolution card
            return training.NOTHING

    def _activity(self) -> list[Line]:
        try:
            ran = nights.lines(self.layout)
        except NightschoolError:
            ran = []
        return activity.activity(self.settings, ran)


def _on_disk(layout: Layout) -> Version:
    try:
        incumbent = generations.incumbent(layout)
        return {"id": incumbent.id, "sha256": incumbent.sha256}
    except NightschoolError as error:
        return {"id": f"unreadable: {error}", "sha256": None}


def _folders(layout: Layout) -> Stamp:
    """Changes with the link, with each new generation, and with each file that is renamed into one."""
    target = layout.current.readlink().name if layout.current.is_symlink() else None
    return (target, *_stamps([layout.loras, *sorted(layout.loras.glob("[0-9b]*"))]))


def _stamps(paths: Iterable[Path]) -> Stamp:
    return tuple((path.name, *_stamp(path)) for path in paths)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino
