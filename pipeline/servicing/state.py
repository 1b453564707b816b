"""What the service is doing, for its health check, `status` and the dashboard: logs/service.json."""

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from pipeline.lib.errors import BadRecordError, DiskError, ExitCode
from pipeline.lib.files import is_held, read_json, write_json
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.sections import Service
from pipeline.servicing.timing import in_words, uptime

_LATE = 2  # intervals without a look
_REPEATED = 3  # errors in a row
_LONGEST_NIGHT = 24 * 3600.0  # seconds

ENDS = {ExitCode.DONE, ExitCode.NOTHING_TO_DO, ExitCode.REFUSED, ExitCode.INCONCLUSIVE, ExitCode.ROLLED_BACK}
OUTCOMES: dict[int, str] = {
    ExitCode.DONE: "a better model is serving",
    ExitCode.NOTHING_TO_DO: "nothing to do",
    ExitCode.REFUSED: "candidate refused, the incumbent stays",
    ExitCode.INCONCLUSIVE: "inconclusive, or awaiting approval: the incumbent stays",
    ExitCode.ROLLED_BACK: "deployed, then rolled back",
    ExitCode.BUSY: "busy: another night is running, or this one was stopped",
}


@dataclass
class State:
    """Written by the service's own thread, read by that of the health check as well."""

    layout: Layout
    wanted: Service
    url: str = ""
    doing: str = "starting"  # starting, waiting, looking, night, stopped
    began: float = field(default_factory=uptime)  # what it is doing
    looked: float = field(default_factory=uptime)  # last; at first: never, but it has only just started
    errors: int = 0  # in a row
    facts: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """The last night is remembered across restarts."""
        try:
            night = read_json(self.layout.service).get("last_night")
        except BadRecordError:  # not there, or not readable: it will be written anew
            night = None
        self.facts = {
            "started": time.time(),
            "last_look": None,
            "next_look": None,
            "waiting": None,
            "last_error": None,
            "last_night": night,
        }

    @property
    def owes_a_night(self) -> bool:
        """The last one did not come to its end: what it had harvested is new no more, and still to be learned."""
        night = self.facts["last_night"]
        return isinstance(night, dict) and night.get("exit_code") not in ENDS

    def tell(self, doing: str, **facts: Any) -> None:
        """Take note and publish. A disk that refuses is a warning: the service goes on without its file."""
        with self._lock:
            if doing != self.doing:
                self.doing, self.began = doing, uptime()
            self.facts |= facts
        try:
            write_json(self.layout.service, self.to_json())
        except DiskError as error:
            logger.warning("%s", error)

    def to_json(self) -> dict[str, Any]:
        """Moments are seconds since 1970, `last_night` is {began, ended, exit_code, outcome, run}."""
        with self._lock:
            return {
                "state": self.doing,
                "pid": os.getpid(),
                "url": self.url,
                **self.facts,
                "min_samples": self.wanted.min_samples,
                "evolution_interval": self.wanted.evolution_interval,
                "training_interval": self.wanted.training_interval,
                "errors_in_row": self.errors,
            }

    def health(self) -> dict[str, Any]:
        """The same, and `alive`: no `problems`."""
        problems, now = [], uptime()
        if self.doing == "night":
            if now - self.began > _LONGEST_NIGHT:
                problems.append(f"the night has been running for {in_words(now - self.began)}")
        elif now - self.looked > _LATE * self.wanted.evolution_interval:
            problems.append(f"it has not looked for {in_words(now - self.looked)}")
        if self.errors >= _REPEATED:
            problems.append(f"{self.errors} errors in a row")
        return {"alive": not problems, "problems": problems, **self.to_json()}


def glance(layout: Layout) -> dict[str, Any] | None:
    """What the service wrote last, with `running`; none: there never was one, or its file cannot be read."""
    try:
        said = read_json(layout.service)
    except BadRecordError:
        return None
    return {**said, "running": is_held(layout.lock("service"))}
