"""Which patterns should weigh more in what is trained on. Pure."""

from collections.abc import Iterable

from pipeline.evolution.tallies import Share, Tallies

_DOUBT = 5.0  # failures for which it counts that a pattern is like all the others


def weights(tallies: Tallies, patterns: Iterable[str]) -> dict[str, float]:
    """How much each pattern's rows should weigh: 1 = as they come, at most 3.

    Up to 1 more the more rarely its failures are solved, compared with all; up to 1 more the more rarely they are
    solved today, compared with what it was. A pattern without a history weighs 1.
    """
    known = tallies.patterns.values()
    overall = Share(sum(each.solved_weight for each in known), sum(each.weight for each in known)).rate
    found = {}
    for pattern in patterns:
        tally = tallies.patterns.get(pattern)
        if tally is None:
            found[pattern] = 1.0
            continue
        now, before = _rate(tally.lately, overall), _rate(tally.earlier, overall)
        found[pattern] = 1 + max(0.0, 1 - now / overall) + max(0.0, 1 - now / before)
    return found


def _rate(share: Share, overall: float) -> float:
    return (share.solved + _DOUBT * overall) / (share.failures + _DOUBT)
