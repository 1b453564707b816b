"""Watches what was just deployed: the gateway's counts of the window, and probes where traffic is thin."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.gateway_client import GatewayClient
from pipeline.gate.watch import Finding, Thresholds, judge
from pipeline.lib.errors import NightschoolError

_TICK = 0.5  # seconds between two looks


@dataclass(slots=True)
class Probes:
    """What probes found; they count like traffic."""

    outcomes: int = 0
    successes: int = 0
    trailing_errors: int = 0
    latencies_ms: list[float] = field(default_factory=list)


@dataclass(slots=True)
class LiveWatch:
    """One watch of one version. `questions` are {messages, check}: asked when users ask too little."""

    client: GatewayClient
    version: str
    questions: list[dict[str, Any]]
    thresholds: Thresholds
    seconds: float

    def run(self) -> tuple[Finding, dict[str, Any]]:
        """Look until the time is over or something is failing; returns the finding and its numbers."""
        started, deadline = time.time(), time.monotonic() + self.seconds
        probes, waiting = Probes(), cycle(self.questions)
        while True:
            finding, numbers = self._look(started, probes)
            over = time.monotonic() >= deadline
            if finding.health == "failing" or (over and finding.health == "healthy"):
                return finding, numbers
            if over and (not self.questions or probes.outcomes >= 4 * self.thresholds.minimum_samples):
                return finding, numbers
            if numbers["outcomes"] < self._due(deadline) and self.questions:
                self._probe(waiting, probes)
            else:
                time.sleep(max(0.0, min(_TICK, deadline - time.monotonic())))

    def _due(self, deadline: float) -> float:
        """How many outcomes there should be by now, for the needed ones to be there at the end."""
        if self.seconds <= 0:
            return self.thresholds.minimum_samples
        gone = 1 - max(0.0, deadline - time.monotonic()) / self.seconds
        return self.thresholds.minimum_samples * min(1.0, gone + 0.1)

    def _look(self, started: float, probes: Probes) -> tuple[Finding, dict[str, Any]]:
        try:
            window = self.client.window(self.version, started)
        except NightschoolError as error:
            probes.trailing_errors += 1
            window = {
                "outcomes": 0,
                "successes": 0,
                "errors": 0,
                "latencies_ms": [],
                "trailing_errors": 0,
                "requests": 0,
            }
            if probes.trailing_errors >= 3:
                return Finding("failing", f"the gateway does not answer: {error}"), {"outcomes": 0}
        # A request that failed is an outcome too, though nobody could send feedback on it.
        outcomes = window["outcomes"] + window["errors"] + probes.outcomes
        successes = window["successes"] + probes.successes
        latencies = [*window["latencies_ms"], *probes.latencies_ms]
        trailing = max(window["trailing_errors"], probes.trailing_errors)
        finding = judge(successes, outcomes, latencies, trailing, self.thresholds)
        numbers = {
            "requests": window["requests"],
            "errors": window["errors"],
            "probes": probes.outcomes,
            "outcomes": outcomes,
            "successes": successes,
            "median_latency_ms": sorted(latencies)[len(latencies) // 2] if latencies else None,
            "bound": self.thresholds.bound,
            "seconds": round(time.time() - started, 1),
        }
        return finding, numbers

    def _probe(self, waiting: Iterator[dict[str, Any]], probes: Probes) -> None:
        question = next(waiting)
        clock = time.monotonic()
        try:
            answer = self.client.chat(question["messages"], "probe", temperature=0)
        except NightschoolError:
            probes.outcomes += 1
            probes.trailing_errors += 1
            return
        probes.trailing_errors = 0
        probes.latencies_ms.append((time.monotonic() - clock) * 1000)
        probes.outcomes += 1
        probes.successes += checks.judge(answer["choices"][0]["message"]["content"], question["check"]).passed is True
