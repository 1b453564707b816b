"""How sure a share or a mean is, without scipy: a report must not wait for its import."""

from math import sqrt
from statistics import NormalDist

Interval = tuple[float, float]


def wilson(successes: int, total: int, confidence: float = 0.95) -> Interval | None:
    """Wilson's interval of a share; none without data."""
    if not total:
        return None
    z = _z(confidence)
    share, weight = successes / total, z * z / total
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * sqrt(share * (1 - share) / total + weight / (4 * total))
    # What has never, or always, happened leaves no room on that side; the square root would leave a rounding error.
    return (0.0 if successes == 0 else max(0.0, middle - half), 1.0 if successes == total else min(1.0, middle + half))


def share_change(before: tuple[int, int], now: tuple[int, int], confidence: float) -> Interval | None:
    """Newcombe's interval of the difference of two shares, each {successes, total}; none where one has no data."""
    first, second = wilson(*before, confidence), wilson(*now, confidence)
    if first is None or second is None:
        return None
    was, is_now = before[0] / before[1], now[0] / now[1]
    below = sqrt((is_now - second[0]) ** 2 + (first[1] - was) ** 2)
    above = sqrt((second[1] - is_now) ** 2 + (was - first[0]) ** 2)
    return is_now - was - below, is_now - was + above


def mean_change(
    before: tuple[float, float, int], now: tuple[float, float, int], confidence: float, fewest: int = 30
) -> Interval | None:
    """The interval of the difference of two means, each {mean, variance, n}; none with fewer than `fewest` values.

    The normal approximation: latencies are skewed, so a handful of them says nothing.
    """
    if min(before[2], now[2]) < fewest:
        return None
    half = _z(confidence) * sqrt(before[1] / before[2] + now[1] / now[2])
    return now[0] - before[0] - half, now[0] - before[0] + half


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)
