"""What the gateway has seen, per version: Prometheus counters, and the recent events that a watch reads."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pipeline.lib.signals import NOT_THE_MODELS

_KEPT = 50_000  # events; far more than a watch of a minute needs
_REMEMBERED = 100_000  # interactions whose feedback can still be put to their version

LATENCY_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Event:
    """A request that ended (`success` = it was answered) or feedback on one (`success` = it was right)."""

    at: float
    version: str
    kind: str
    success: bool
    latency_ms: float | None = None
    first_token_ms: float | None = None


class Traffic:
    """Counts and remembers; safe from several threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["version"]
        self._requests = Counter(
            "nightschool_requests", "Chat requests by outcome", ["version", "status"], registry=self.registry
        )
        self._outcomes = Counter(
            "nightschool_outcomes", "Feedback by outcome", ["version", "success"], registry=self.registry
        )
        self._tokens = Counter("nightschool_tokens", "Tokens generated", labels, registry=self.registry)
        self._latency = Histogram(
            "nightschool_request_seconds",
            "Time to the whole answer",
            labels,
            registry=self.registry,
            buckets=LATENCY_BUCKETS,
        )
        self._first_token = Histogram(
            "nightschool_first_token_seconds",
            "Time to the first token, where the engine tells it",
            labels,
            registry=self.registry,
            buckets=LATENCY_BUCKETS,
        )
        self._active = Gauge(
            "nightschool_active_version", "1 for the version in service", labels, registry=self.registry
        )
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._versions: dict[str, str] = {}
        self._guard = threading.Lock()

    def request(
        self,
        interaction: str,
        version: str,
        latency_ms: float,
        tokens: int,
        error: str | None,
        first_token_ms: float | None = None,
        kind: str | None = None,
    ) -> None:
        """A chat request has ended.

        An error whose `kind` says nothing about the model is counted, but is nothing that a watch should know of:
        neither that it came nor how long it took.
        """
        self._requests.labels(version, "error" if error else "ok").inc()
        self._tokens.labels(version).inc(tokens)
        self._latency.labels(version).observe(latency_ms / 1000)
        if first_token_ms is not None:
            self._first_token.labels(version).observe(first_token_ms / 1000)
        with self._guard:
            if kind not in NOT_THE_MODELS:
                self._events.append(Event(time.time(), version, "request", error is None, latency_ms, first_token_ms))
            self._versions[interaction] = version
            if len(self._versions) > _REMEMBERED:
                self._versions.pop(next(iter(self._versions)))

    def feedback(self, interaction: str, success: bool | None) -> bool:
        """Feedback has come; returns whether its interaction is remembered."""
        with self._guard:
            version = self._versions.get(interaction)
            if version is not None and success is not None:
                self._events.append(Event(time.time(), version, "outcome", success))
        if version is not None and success is not None:
            self._outcomes.labels(version, str(success).lower()).inc()
        return version is not None

    def window(self, version: str, since: float) -> dict[str, Any]:
        """What happened to a version since a moment (seconds since 1970): counts of that window only."""
        with self._guard:
            events = [event for event in self._events if event.version == version and event.at >= since]
        requests = [event for event in events if event.kind == "request"]
        outcomes = [event for event in events if event.kind == "outcome"]
        return {
            "version": version,
            "requests": len(requests),
            "errors": sum(not event.success for event in requests),
            "outcomes": len(outcomes),
            "successes": sum(event.success for event in outcomes),
            # In their order: an error is a wrong outcome, though nobody could send feedback on it.
            "history": [event.success for event in events if event.kind == "outcome" or not event.success],
            "first_token_ms": [
                round(event.first_token_ms, 2) for event in requests if event.first_token_ms is not None
            ],
            "latencies_ms": [round(event.latency_ms, 2) for event in requests if event.latency_ms is not None],
            "trailing_errors": _trailing_errors(requests),
        }

    def exposition(self, active: str) -> bytes:
        """The metrics in Prometheus' text format."""
        self._active.clear()
        self._active.labels(active).set(1)
        return generate_latest(self.registry)


def _trailing_errors(requests: list[Event]) -> int:
    """How many requests failed since the last that was answered."""
    for count, event in enumerate(reversed(requests)):
        if event.success:
            return count
    return len(requests)
