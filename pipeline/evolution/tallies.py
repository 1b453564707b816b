"""How often what worked: the history summed up, the past fading. Pure.

Failures of one pattern are not equally hard, so a fruitless draft makes the next one less promising: after `patience`
of them its chance is half of the first one's. Turned round, late drafts say less about a pattern than first ones: the
draft behind n others counts as an *exposure* of patience / (patience + n), and solved failures over exposure is the
chance of a first draft. The patience is what explains the history best.

An attempt counts half after `HALF_LIFE` days, and less for every model that has come since: what an earlier model could
not do tells less of today's.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.evolution.history import Attempt, History, first_accepted

HALF_LIFE = 14.0  # days
MODEL_FADE = 0.8  # of the weight is left when another model comes
GUESS, DOUBT = 0.1, 5.0  # the chance of a first draft where nothing is known, and the exposure that this counts for
PATIENCE = 16.0  # drafts, where nothing is known
_PATIENCES = (1.0, 2.0, 4.0, 8.0, PATIENCE, 32.0, 64.0, 128.0, 1024.0)

_DAY = 24 * 3600.0
_PRIOR = 0.5  # Jeffreys: on both sides of a share

Arm = tuple[float, float]  # temperature and top_p


@dataclass(slots=True)
class Tally:
    """Solved failures over exposure, both weighted."""

    solved: float = 0.0
    exposure: float = 0.0

    def chance(self, guess: float, doubt: float = DOUBT) -> float:
        """Of a first draft, in (0, 1): a guess that counts for an exposure of `doubt`, and what was seen."""
        return min(0.99, (self.solved + doubt * guess) / (self.exposure + doubt))


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    together = Tally()
    for each in tallies:
        together.solved += each.solved
        together.exposure += each.exposure
    return together


def belief(seen: Tally, guess: float, doubt: float) -> tuple[float, float]:
    """The Beta distribution of a first draft's chance: a guess, worth an exposure of `doubt`, and what was seen."""
    guess = min(0.99, guess)
    return seen.solved + doubt * guess, max(0.0, seen.exposure - seen.solved) + doubt * (1 - guess)


class Cell:
    """Failures that were tried alike: the drafts until the first accepted one, or all of them → their weight."""

    __slots__ = ("solved", "unsolved")

    def __init__(self) -> None:
        self.solved: defaultdict[int, float] = defaultdict(float)
        self.unsolved: defaultdict[int, float] = defaultdict(float)

    def add(self, weight: float, drafts: int, first: int) -> None:
        """Another failure; the drafts behind the `first` accepted one (0: none was) only confirm it."""
        if first:
            self.solved[first] += weight
        else:
            self.unsolved[drafts] += weight

    def tally(self, patience: float) -> Tally:
        """Summed up."""
        seen = sum(
            weight * exposure(drafts, patience)
            for group in (self.solved, self.unsolved)
            for drafts, weight in group.items()
        )
        return Tally(sum(self.solved.values()), seen)


def exposure(drafts: float, patience: float) -> float:
    """What so many drafts count for: the sum of patience / (patience + n) over n = 0 … drafts - 1, closely."""
    return patience * math.log1p(drafts / (patience - 0.5))


@dataclass(slots=True)
class Share:
    """Of failures: how many were solved, weighted."""

    solved: float = 0.0
    failures: float = 0.0

    @property
    def rate(self) -> float:
        """The share, one half where nothing is known."""
        return (self.solved + _PRIOR) / (self.failures + 2 * _PRIOR)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Of the share (Jeffreys', which takes weighted counts, too)."""
        from scipy.special import betaincinv

        solved, rest = self.solved + _PRIOR, self.failures - self.solved + _PRIOR
        tail = (1 - confidence) / 2
        low = 0.0 if self.solved <= 0 else float(betaincinv(solved, rest, tail))
        return low, 1.0 if self.solved >= self.failures else float(betaincinv(solved, rest, 1 - tail))


@dataclass(slots=True)
class PatternTally:
    """One pattern: counted, weighted, and by arm."""

    failures: int = 0
    solved: int = 0
    drafts: int = 0
    weight: float = 0.0
    solved_weight: float = 0.0
    categories: Counter[str] = field(default_factory=Counter)
    arms: dict[Arm, Tally] = field(default_factory=dict)

    @property
    def all(self) -> Tally:
        """Whatever the arm."""
        return total(self.arms.values())

    @property
    def lately(self) -> Share:
        """Of failures, as they weigh today."""
        return Share(self.solved_weight, self.weight)

    @property
    def earlier(self) -> Share:
        """Of failures, what the weights of today have taken away."""
        return Share(self.solved - self.solved_weight, self.failures - self.weight)


@dataclass(slots=True)
class Tallies:
    """The whole history; `categories` unweighted, `models` by (teacher, category), each of several by itself."""

    patterns: dict[str, PatternTally] = field(default_factory=dict)
    categories: dict[str, Share] = field(default_factory=dict)
    models: dict[tuple[str, str], Tally] = field(default_factory=dict)
    patience: float = PATIENCE

    @property
    def chance(self) -> float:
        """Of a first draft to anything."""
        return total(self.models.values()).chance(GUESS)


def tally(history: History, now: float) -> Tallies:
    """Sum up.

    Args:
        history: what was tried.
        now: seconds since 1970; what comes after it has not faded.
    """
    attempts = history.attempts.values()
    weight_at = _weights(attempts, now)
    found = Tallies(defaultdict(PatternTally), defaultdict(Share))
    arms: defaultdict[tuple[str, Arm], Cell] = defaultdict(Cell)
    models: defaultdict[tuple[str, str], Cell] = defaultdict(Cell)
    for each in attempts:
        weight = weight_at[each.at]
        _count(found.patterns[each.pattern], found.categories[each.category], each, weight)
        first = each.first if each.solved else 0
        arms[each.pattern, (each.temperature, each.top_p)].add(weight, each.drafts, first)
        if not each.by:
            models[each.model, each.category].add(weight, each.drafts, first)
        for name, (drafts, accepted) in (each.by or {}).items():
            # Only what was confirmed counts: an accepted draft that nobody repeats solves nothing.
            models[name, each.category].add(weight, drafts, first_accepted(drafts, accepted) if each.solved else 0)
    patience = _patience(arms)
    for (name, drawn), cell in arms.items():
        found.patterns[name].arms[drawn] = cell.tally(patience)
    return Tallies(
        dict(found.patterns),
        dict(found.categories),
        {key: cell.tally(patience) for key, cell in models.items()},
        patience,
    )


def _count(pattern: PatternTally, category: Share, each: Attempt, weight: float) -> None:
    category.failures += 1
    pattern.failures += 1
    pattern.drafts += each.drafts
    pattern.weight += weight
    pattern.categories[each.category] += 1
    if each.solved:
        category.solved += 1
        pattern.solved += 1
        pattern.solved_weight += weight


def _weights(attempts: Iterable[Attempt], now: float) -> dict[float, float]:
    """What an attempt of each moment counts for. All attempts of a harvest have the moment at which it began."""
    first: dict[str, float] = {}
    for each in attempts:
        if each.at < first.get(each.model, math.inf):
            first[each.model] = each.at
    begun = sorted(first.values())
    return {
        at: MODEL_FADE ** (len(begun) - bisect_right(begun, at)) * 0.5 ** (max(0.0, now - at) / _DAY / HALF_LIFE)
        for at in {each.at for each in attempts}
    }


def _patience(cells: dict[tuple[str, Arm], Cell]) -> float:
    """The likeliest one, when every cell has a chance of its own (the likeliest one given the patience)."""

    def likelihood(patience: float) -> float:
        found = 0.0
        for cell in cells.values():
            seen = cell.tally(patience)
            if seen.solved > 0:
                found += seen.solved * math.log(seen.solved / seen.exposure)
                found -= sum(weight * math.log1p((drafts - 1) / patience) for drafts, weight in cell.solved.items())
        return found

    # Of equally likely ones (nothing was solved yet) the one that is assumed without a history.
    return max(sorted(_PATIENCES, key=lambda each: each != PATIENCE), key=likelihood)
