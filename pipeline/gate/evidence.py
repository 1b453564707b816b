"""How much evidence is there that a mean is above a bound? Betting, so that one may look after every observation.

A player starts with 1 and bets a fixed share on "above" before each observation. If the mean is not above the bound,
nobody can expect to win: by Ville's inequality the stake ever reaches 1 / alpha with a probability of alpha at most,
however often one looks and whenever one stops. What the stake has become is called the e-value. We let several players
with different shares bet and take the weighted mean of their stakes, which is a fair game too.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024.
"""

import math
from collections.abc import Mapping

# Shares of the largest allowed bet, and the players' shares of the first stake. The large bet decides quickly when
# nearly all differing pairs point one way; the small ones win where many pairs differ in both directions (LOG.md).
_BETS = ((0.75, 0.90), (0.20, 0.08), (0.05, 0.02))
_LARGEST_EXPONENT = 700.0  # e^700 is still a float


def e_value(observations: Mapping[float, int], bound: float) -> float:
    """The evidence that the mean of the observations is above `bound`.

    Args:
        observations: value in [-1, 1] → how often it was seen. The order makes no difference.
        bound: in (-1, 1).

    Returns:
        1 without observations; at most 1 in expectation while the mean is `bound` or less.
    """
    largest = 1 / (1 + bound)
    stakes = []
    for share, weight in _BETS:
        bet = share * largest
        stakes.append(
            math.log(weight) + sum(count * math.log1p(bet * (value - bound)) for value, count in observations.items())
        )
    top = max(stakes)
    return math.exp(min(_LARGEST_EXPONENT, top + math.log(sum(math.exp(stake - top) for stake in stakes))))


def mirrored(observations: Mapping[float, int]) -> dict[float, int]:
    """The same observations seen from the other side."""
    return {-value: count for value, count in observations.items()}


def confidence_sequence(observations: Mapping[float, int], alpha: float) -> tuple[float, float]:
    """Bounds of the mean that hold at all times together, with a probability of 1 - 2 · alpha.

    A bound is where the evidence would just suffice against every smaller (larger) mean.
    """
    return _lower_bound(observations, alpha), -_lower_bound(mirrored(observations), alpha)


def _lower_bound(observations: Mapping[float, int], alpha: float) -> float:
    low, high = -1.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if e_value(observations, middle) >= 1 / alpha:
            low = middle
        else:
            high = middle
    return low


def proportion_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share, for one look; (0, 1) without data."""
    if not total:
        return 0.0, 1.0
    from scipy.stats import binomtest

    interval = binomtest(successes, total).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)
