"""Is what was just deployed healthy under live traffic? Pure functions over the counts of the window."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Health = Literal["healthy", "failing", "unknown"]

# So many failed requests in a row are an outage, whatever the rest of the window looked like.
OUTAGE = 3
_ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Finding:
    """What the watch thinks, and the numbers it thinks so from."""

    health: Health
    reason: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`success` is a share, `latency_ms` a median; `incumbent` is the share that the previous version reached."""

    success: float
    latency_ms: float
    minimum_samples: int
    incumbent: float | None = None

    @property
    def bound(self) -> float:
        """The success that must be kept: the threshold, or what the incumbent had where that was lower."""
        return self.success if self.incumbent is None else min(self.success, self.incumbent)


def judge(
    successes: int, outcomes: int, latencies_ms: Sequence[float], trailing_errors: int, thresholds: Thresholds
) -> Finding:
    """Judge a window; may be called after every request.

    Args:
        successes: outcomes that were right.
        outcomes: requests of which it is known whether they were answered rightly (errors are wrong).
        latencies_ms: of the requests in the window.
        trailing_errors: requests that failed since the last that was answered.
        thresholds: what counts as failing.
    """
    from scipy.stats import binom

    if trailing_errors >= OUTAGE:
        return Finding("failing", f"{trailing_errors} requests in a row failed")
    enough = outcomes >= thresholds.minimum_samples
    if outcomes and float(binom.cdf(successes, outcomes, thresholds.bound)) <= _ALPHA:
        share = successes / outcomes
        return Finding("failing", f"success {share:.1%} of {outcomes} is surely under {thresholds.bound:.1%}")
    if len(latencies_ms) >= thresholds.minimum_samples:
        median = statistics.median(latencies_ms)
        if median > thresholds.latency_ms:
            return Finding("failing", f"median latency {median:.0f} ms > {thresholds.latency_ms:g} ms")
    if not enough:
        return Finding("unknown", f"{outcomes} outcomes, {thresholds.minimum_samples} needed")
    return Finding("healthy", f"success {successes / outcomes:.1%} of {outcomes}, bound {thresholds.bound:.1%}")
