"""Watches what was just deployed: what the gateway saw since then, and probes where traffic is thin."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.gateway_client import GatewayClient, OverloadedError, RefusedChatError
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.gate.monitor import Finding, Limits, Window, judge, numbers
from pipeline.lib.errors import NightschoolError
from pipeline.lib.logs import logger

_TICK = 0.5  # seconds between two looks
_SILENT = 3  # looks without an answer from the gateway: it is gone


@dataclass(slots=True)
class Seen:
    """What is known so far, in the order in which it became known. Probes count like traffic."""

    outcomes: list[bool] = field(default_factory=list)
    from_traffic: int = 0
    probes: int = 0
    probe_latencies_ms: list[float] = field(default_factory=list)
    trailing_probe_errors: int = 0
    silent: int = 0


@dataclass(slots=True)
class LiveWatch:
    """One watch of one version. `questions` are {messages, check}: asked when users ask too little."""

    client: GatewayClient
    version: str
    questions: list[dict[str, Any]]
    limits: Limits
    seconds: float
    asked_as: str = ""  # the name that probes use; empty: the public one

    def run(self) -> tuple[Finding, dict[str, Any]]:
        """Look until the time is over or something is failing; returns the finding and its numbers."""
        started, deadline = time.time(), time.monotonic() + self.seconds
        seen, waiting = Seen(), cycle(self.questions)
        while True:
            finding, found = self._look(started, seen)
            over = time.monotonic() >= deadline
            if finding.health == "failing" or (over and finding.health == "healthy"):
                return finding, found
            if over and (not self.questions or seen.probes >= 4 * self.limits.minimum_samples):
                return finding, found
            if len(seen.outcomes) < self._due(deadline) and self.questions:
                self._probe(waiting, seen)
            else:
                time.sleep(max(0.0, min(_TICK, deadline - time.monotonic())))

    def _due(self, deadline: float) -> float:
        """How many outcomes there should be by now, for the needed ones to be there at the end."""
        if self.seconds <= 0:
            return self.limits.minimum_samples
        gone = 1 - max(0.0, deadline - time.monotonic()) / self.seconds
        return self.limits.minimum_samples * min(1.0, gone + 0.1)

    def _look(self, started: float, seen: Seen) -> tuple[Finding, dict[str, Any]]:
        try:
            window = self.client.window(self.version, started)
        except NightschoolError as error:
            seen.silent += 1
            if seen.silent >= _SILENT:
                return Finding("failing", f"the gateway does not answer: {error}"), {"outcomes": len(seen.outcomes)}
            return Finding("unknown", "the gateway did not answer"), {"outcomes": len(seen.outcomes)}
        seen.silent = 0
        seen.outcomes += window["history"][seen.from_traffic :]
        seen.from_traffic = len(window["history"])
        known = Window(
            seen.outcomes,
            max(window["trailing_errors"], seen.trailing_probe_errors),
            [*window["latencies_ms"], *seen.probe_latencies_ms],
            window["first_token_ms"],
        )
        counts = {"requests": window["requests"], "errors": window["errors"], "probes": seen.probes}
        return judge(known, self.limits), {
            **counts,
            **numbers(known, self.limits),
            "seconds": round(time.time() - started, 1),
        }

    def _probe(self, waiting: Iterator[dict[str, Any]], seen: Seen) -> None:
        question = next(waiting)
        clock = time.monotonic()
        seen.probes += 1
        try:
            answer = self.client.chat(question["messages"], "probe", self.asked_as, temperature=0)
        except OverloadedError:  # it says nothing about the version
            time.sleep(_TICK)
            return
        except RefusedChatError:  # the canary has counted such a question as wrong, too; it is no outage
            seen.outcomes.append(False)
            return
        except NightschoolError:
            seen.outcomes.append(False)
            seen.trailing_probe_errors += 1
            return
        seen.trailing_probe_errors = 0
        seen.probe_latencies_ms.append((time.monotonic() - clock) * 1000)
        text = answer["choices"][0]["message"]["content"]
        try:
            # A hidden question came in with somebody's conversation: it may not name a plug-in.
            ours = question.get("suite") != "hidden"
            seen.outcomes.append(checks.judge(text, question["check"], plugins=ours).passed is True)
        except SandboxError as error:  # it says nothing about the answer
            logger.warning("a probe was not judged: %s", error)
