"""Is the candidate worse? An exact paired test on the same questions, with three outcomes. Pure functions.

Only pairs on which the two models differ say anything: `wins` (candidate right, incumbent wrong) and `losses`. If the
models were equally good, wins would be Binomial(wins + losses, ½): McNemar's test, exact.
"""

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class PairedResult:
    """What the pairs say. `difference` and `interval` are candidate minus incumbent, as shares of all pairs."""

    pairs: int
    wins: int
    losses: int
    difference: float
    interval: tuple[float, float]
    p_worse: float
    p_better: float
    outcome: Outcome


def compare(pairs: list[tuple[bool, bool]], alpha: float, margin: float) -> PairedResult:
    """Compare a candidate with an incumbent.

    Fails when it is significantly worse. Passes when it is significantly better, or when the interval leaves no room
    for a loss of `margin` or more. Everything else, and no data at all, is inconclusive.

    Args:
        pairs: (candidate right, incumbent right), one per question.
        alpha: error probability of each one-sided test.
        margin: the loss, as a share of the questions, that would matter.
    """
    from scipy.stats import binomtest

    wins = sum(candidate and not incumbent for candidate, incumbent in pairs)
    losses = sum(incumbent and not candidate for candidate, incumbent in pairs)
    differing = wins + losses
    if not pairs:
        return PairedResult(0, 0, 0, 0.0, (-1.0, 1.0), 1.0, 1.0, "inconclusive")
    if not differing:
        interval = _rule_of_three(len(pairs), alpha)
        outcome: Outcome = "pass" if interval[0] > -margin else "inconclusive"
        return PairedResult(len(pairs), 0, 0, 0.0, interval, 1.0, 1.0, outcome)
    worse = binomtest(wins, differing, alternative="less")
    better = binomtest(wins, differing, alternative="greater")
    share = binomtest(wins, differing).proportion_ci(confidence_level=1 - 2 * alpha, method="exact")
    interval = _interval(share, binomtest(differing, len(pairs)).proportion_ci(1 - 2 * alpha, method="exact"))
    if worse.pvalue <= alpha:
        outcome = "fail"
    elif better.pvalue <= alpha or interval[0] > -margin:
        outcome = "pass"
    else:
        outcome = "inconclusive"
    return PairedResult(
        len(pairs),
        wins,
        losses,
        (wins - losses) / len(pairs),
        interval,
        float(worse.pvalue),
        float(better.pvalue),
        outcome,
    )


def proportion_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share; (0, 1) without data."""
    if not total:
        return 0.0, 1.0
    from scipy.stats import binomtest

    interval = binomtest(successes, total).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def _interval(wins_among_differing: Any, differing: Any) -> tuple[float, float]:
    """Bounds of the difference: (2 · share of wins - 1) · share of differing pairs, at the least favourable corners.

    Both shares are uncertain; where the first could mean a loss, more differing pairs would make it larger.
    """
    low, high = 2 * float(wins_among_differing.low) - 1, 2 * float(wins_among_differing.high) - 1
    return (
        low * float(differing.high if low < 0 else differing.low),
        high * float(differing.high if high > 0 else differing.low),
    )


def _rule_of_three(pairs: int, alpha: float) -> tuple[float, float]:
    """No pair differs: how large could the share of differing pairs still be?"""
    bound = 1 - alpha ** (1 / pairs)
    return -bound, bound
