"""Is what was just deployed healthy under live traffic? Pure; may be asked after every request.

Every question that the monitor asks is a share: of answers that were right, of requests that were fast enough. For each
it keeps the evidence that the share is under its limit. The evidence is that of a bet (see `evidence.py`), which may
also have begun later than the watch: something that breaks in the middle of it is found as well.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Health = Literal["healthy", "failing", "unknown"]

# Error probabilities of one watch, whatever its length; together they bound the false rollbacks at 0.75 %.
ALPHA_COLLAPSE = 0.0055
ALPHA_DECLINE = 0.0005
ALPHA_LATENCY = 0.0005  # each of three
_FROM_THE_START = 0.9  # of the stake; the rest waits for a change in the middle
_USUAL_ERRORS = 0.01  # share of failed requests that is nobody's fault


@dataclass(frozen=True, slots=True)
class Finding:
    """What the watch thinks, and why."""

    health: Health
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the new version is held to.

    `success` and `latency_ms` are the configured thresholds; `incumbent_success` and `incumbent_latency_ms` what the
    previous version reached (a share, a median in ms), none where nobody knows.
    """

    success: float
    latency_ms: float
    minimum_samples: int
    incumbent_success: float | None = None
    incumbent_latency_ms: float | None = None
    incumbent_first_token_ms: float | None = None
    incumbent_errors: float = 0.0
    latency_ratio: float = 2.0

    @property
    def bound(self) -> float:
        """The success that must be kept: the threshold, or what the incumbent had where that was lower."""
        return self.success if self.incumbent_success is None else min(self.success, self.incumbent_success)


@dataclass(frozen=True, slots=True)
class Window:
    """What has happened since the deployment, in its order.

    `outcomes`: was it right? An error is a wrong outcome. `trailing_errors`: requests that failed since the last one
    that was answered. Latencies in ms.
    """

    outcomes: Sequence[bool] = ()
    trailing_errors: int = 0
    latencies_ms: Sequence[float] = ()
    first_token_ms: Sequence[float] = ()


def judge(window: Window, limits: Limits) -> Finding:
    """Judge the window. Without enough outcomes it is `unknown`, never healthy."""
    if window.trailing_errors >= outage_run(limits.incumbent_errors):
        return Finding("failing", f"{window.trailing_errors} requests in a row failed")
    reason = _success_failing(window.outcomes, limits) or _latency_failing(window, limits)
    if reason:
        return Finding("failing", reason)
    count = len(window.outcomes)
    if count < limits.minimum_samples:
        return Finding("unknown", f"{count} outcomes, {limits.minimum_samples} needed")
    return Finding("healthy", f"success {sum(window.outcomes) / count:.1%} of {count}, bound {limits.bound:.1%}")


def outage_run(usual_errors: float) -> int:
    """How many failed requests in a row are an outage: so many that chance brings them once in a million.

    Three where one request in a hundred fails anyway; more where the incumbent failed more often.
    """
    usual = min(0.5, max(_USUAL_ERRORS, usual_errors))
    return max(3, math.ceil(-6 / math.log10(usual)))


def evidence_of_less(outcomes: Iterable[bool], level: float, alternatives: Sequence[float]) -> float:
    """The evidence that the share of true outcomes is below `level`.

    A stake of `_FROM_THE_START` is bet from the first outcome on, the rest in ever smaller parts from each later one
    on; each is spread over the alternatives (shares below `level`) that it bets on.

    Args:
        outcomes: in their order.
        level: the share that should be kept, within (0, 1).
        alternatives: shares below it.
    """
    stakes = [_FROM_THE_START / len(alternatives)] * len(alternatives)
    waiting = 1 - _FROM_THE_START
    for number, outcome in enumerate(outcomes, start=1):
        for position, share in enumerate(alternatives):
            stakes[position] *= share / level if outcome else (1 - share) / (1 - level)
            # Of the waiting stake 1/(n·(n+1)) joins after outcome n: what joins in all is never more than the whole.
            stakes[position] += (1 - _FROM_THE_START) / (number * (number + 1)) / len(alternatives)
        waiting = (1 - _FROM_THE_START) / (number + 1)
    return sum(stakes) + waiting


def _success_failing(outcomes: Sequence[bool], limits: Limits) -> str | None:
    if not outcomes:
        return None
    share = f"success {sum(outcomes) / len(outcomes):.1%} of {len(outcomes)}"
    level = _inside(limits.bound if limits.incumbent_success is None else limits.incumbent_success)
    if evidence_of_less(outcomes, level, (0.3 * level,)) >= 1 / ALPHA_COLLAPSE:
        return f"{share}: a collapse from {level:.1%}"
    bound = _inside(limits.bound)
    if evidence_of_less(outcomes, bound, (0.9 * bound, 0.75 * bound, 0.5 * bound)) >= 1 / ALPHA_DECLINE:
        return f"{share} is surely under {bound:.1%}"
    return None


def _latency_failing(window: Window, limits: Limits) -> str | None:
    """Slower than allowed means: more than half of the requests are."""
    for name, measured, allowed in _latency_limits(window, limits):
        in_time = [each <= allowed for each in measured]
        if evidence_of_less(in_time, 0.5, (0.05, 0.25)) >= 1 / ALPHA_LATENCY:
            return f"median {name} {statistics.median(measured):.0f} ms > {allowed:.0f} ms"
    return None


def _latency_limits(window: Window, limits: Limits) -> Iterable[tuple[str, Sequence[float], float]]:
    yield "latency", window.latencies_ms, limits.latency_ms
    if limits.incumbent_latency_ms is not None:
        yield "latency", window.latencies_ms, limits.latency_ratio * limits.incumbent_latency_ms
    if limits.incumbent_first_token_ms is not None:
        allowed = limits.latency_ratio * limits.incumbent_first_token_ms
        yield "time to first token", window.first_token_ms, allowed


def _inside(share: float) -> float:
    """Away from 0 and 1, where a single outcome would be a proof."""
    return min(0.99, max(0.01, share))


def numbers(window: Window, limits: Limits) -> dict[str, Any]:
    """What a person wants to know about the window."""
    return {
        "outcomes": len(window.outcomes),
        "successes": sum(window.outcomes),
        "median_latency_ms": statistics.median(window.latencies_ms) if window.latencies_ms else None,
        "median_first_token_ms": statistics.median(window.first_token_ms) if window.first_token_ms else None,
        "bound": limits.bound,
    }
