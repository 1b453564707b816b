"""service: the continuous mode. Looks for new failures, and plays a night when enough of them wait.

reads    what a harvest reads, by a dry run of it; `logs/runs.jsonl` (when something was trained last)
writes   `logs/service.json` (what it is doing); everything else the night does, `cron/nightly_improvement.sh`
answers  GET /health on service.port, beside the dashboard

One lock is shared with cron: while another night is running, the service waits for its next look.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from pipeline.backends.notifiers import ping
from pipeline.backends.notifiers.interface import NotificationError
from pipeline.lib import jsonl, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import ExitCode, NightschoolError, NothingToDo
from pipeline.lib.files import locked
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.servicing import children, door, timing
from pipeline.servicing.bell import Bell
from pipeline.servicing.state import ENDS, OUTCOMES, State

_STOPPING = 120.0  # seconds that a deployment needs besides its watch
_WHO = "a service for this home"


def service(settings: Settings, flags: Mapping[str, str], pages: Starlette) -> None:
    """Stay until SIGTERM or SIGINT; a night that is running is stopped as `children.night` says.

    Args:
        settings: the intervals, the threshold and the port.
        flags: settings that were given on the command line, for the nights.
        pages: what else answers on the port.

    Raises:
        BusyError: this home has a service already, or the port is taken.
        ConfigurationError: there is nothing that plays a night.
    """
    with locked(settings.layout.lock("service"), _WHO), Bell() as bell:
        worker = _Worker(settings, flags, bell)
        with door.opened(door.application(worker.state.health, pages), settings.service.port) as url:
            worker.state.url = url
            worker.run()


def look_once(settings: Settings, flags: Mapping[str, str]) -> dict[str, Any]:
    """One look, and the night if it is time for one; `exit_code` is the night's.

    Raises:
        NothingToDo: it is not time for a night.
        BusyError: this home has a service.
        NightschoolError: the look failed.
    """
    with locked(settings.layout.lock("service"), _WHO), Bell() as bell:
        worker = _Worker(settings, flags, bell)
        waiting, rest = worker.look()
        if not worker.worth_a_night(waiting):
            raise NothingToDo(f"{waiting} new failures: {settings.service.min_samples} are worth a night")
        if rest:
            raise NothingToDo(f"the last training was a short time ago: {timing.in_words(rest)} to wait")
        code, words = worker.night()
        worker.state.tell("stopped")
        return {"waiting": waiting, "exit_code": code, "outcome": _outcome(code), **({"said": words} if words else {})}


def would(settings: Settings, flags: Mapping[str, str]) -> dict[str, Any]:
    """What a look of this moment would find and do; writes nothing."""
    with Bell() as bell:
        worker = _Worker(settings, flags, bell)
        waiting, rest = children.new_failures(worker.variables, bell), _rest(settings)
    return {
        "dry_run": True,
        "waiting": waiting,
        "min_samples": settings.service.min_samples,
        "training_rests_for": timing.in_words(rest),
        "would": "play a night" if worker.worth_a_night(waiting) and not rest else "wait",
    }


class _Worker:
    """Looks, plays nights, and keeps the state up to date."""

    def __init__(self, settings: Settings, flags: Mapping[str, str], bell: Bell) -> None:
        self.settings = settings
        self.wanted = settings.service
        self.bell = bell
        self.state = State(settings.layout, settings.service)
        self.script: Path = children.script(settings)
        self.variables = children.environment(settings, flags)

    def run(self) -> None:
        """Look again and again until the bell rings."""
        logger.info(
            "a look every %s, a night from %d new failures on; health: %s/health",
            timing.in_words(self.wanted.evolution_interval),
            self.wanted.min_samples,
            self.state.url,
        )
        while not self.bell.rung:
            due = self._turn()
            self.state.tell("waiting", next_look=time.time() + max(0.0, due - timing.uptime()))
            while (left := due - timing.uptime()) > 0 and not self.bell.rung:
                self.bell.wait(min(left, timing.LONGEST_NAP))
        self.state.tell("stopped", next_look=None)
        logger.info("stopped")

    def _turn(self) -> float:
        """One look, and the night if it is time; returns when to look again, in seconds of uptime."""
        began = timing.uptime()
        try:
            return began + self._look_and_play()
        except Exception as error:
            if self.bell.rung:
                return began
            self.state.errors += 1
            pause = timing.pause(self.state.errors, self.wanted.retry, self.wanted.longest_retry)
            self.state.tell("waiting", last_error=str(error) or type(error).__name__)
            again = timing.in_words(pause)
            # What we did not foresee leaves its traceback in the log file.
            foreseen = isinstance(error, NightschoolError)
            logger.error("%s; error %d in a row, again in %s", error, self.state.errors, again, exc_info=not foreseen)
            return timing.uptime() + pause

    def _look_and_play(self) -> float:
        """Returns the seconds from the beginning of this look to the next one."""
        waiting, rest = self.look()
        if not self.worth_a_night(waiting):
            self.state.errors = 0
            self._ping()
            return self.wanted.evolution_interval
        if rest:
            logger.info("the last training was a short time ago: a night in %s", timing.in_words(rest))
            self._ping()
            return min(rest, self.wanted.evolution_interval)
        code, words = self.night()
        if code in ENDS:
            self.state.errors = 0
        elif code not in (ExitCode.BUSY, None):
            raise NightschoolError(f"the night failed (exit {code}): {words}")
        return self.wanted.evolution_interval

    def look(self) -> tuple[int, float]:
        """How many new failures wait, and the seconds until something may be trained again."""
        self.state.tell("looking", next_look=None)
        waiting = children.new_failures(self.variables, self.bell)
        self.state.looked = timing.uptime()
        self.state.tell("looking", last_look=time.time(), waiting=waiting)
        logger.info("%d of %d new failures", waiting, self.wanted.min_samples)
        return waiting, _rest(self.settings)

    def worth_a_night(self, waiting: int) -> bool:
        """Whether enough has failed, or a night has to be played again."""
        return waiting >= self.wanted.min_samples or self.state.owes_a_night

    def night(self) -> tuple[int | None, str]:
        """Play one; its exit code, and what it complained of."""
        logger.info("a night begins: %s", self.script)
        began = time.time()
        self.state.tell("night")
        deploy = self.settings.deploy
        patience = _STOPPING + deploy.monitor_duration * (2 if deploy.candidate_share else 1)
        code, words = children.night(self.script, self.variables, self.bell, patience)
        told = {
            "began": began,
            "ended": None if code is None else time.time(),
            "exit_code": code,
            "outcome": _outcome(code),
            "run": _run_since(self.settings.layout, began),
        }
        self.state.tell("looking", last_night=told)
        logger.info("the night is over: %s (exit %s)", told["outcome"], code)
        return code, words

    def _ping(self) -> None:
        """Where there is no night that would do it: on a quiet day, and until something may be trained again."""
        if self.settings.night.ping_url:
            try:
                ping.send(self.settings.night.ping_url.get_secret_value())
            except NotificationError as error:
                logger.warning("%s", error)


def _outcome(code: int | None) -> str:
    return "still deploying, left alone" if code is None else OUTCOMES.get(code, "failed")


def _rest(settings: Settings) -> float:
    """Seconds until something may be trained again, whoever trained last."""
    lines = [line for line in jsonl.read(settings.layout.runs) if line["stage"] == "train"]
    ended = [line["at"] + line["seconds"] for line in lines if line["exit_code"] != ExitCode.NOTHING_TO_DO]
    return timing.rest(max(ended, default=None), settings.service.training_interval, time.time())


def _run_since(layout: Layout, moment: float) -> str | None:
    """The night whose stages began after this moment, for those who want to read more about it."""
    return next((runs.night_of(line["run"]) for line in jsonl.read(layout.runs) if line["at"] >= moment), None)
