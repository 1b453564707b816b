"""What to try next: how many drafts each pattern gets, and how they are drawn. Pure; the same seed, the same plan.

*How many.* After n fruitless drafts the chance of the next one has fallen to patience / (patience + n) (`tallies`).
A night solves most for its drafts when the last draft of every pattern has the same chance: so a pattern's samples grow
with the chance of its first draft, and the level is set so that the night costs what it would have cost by default.
Nobody gets fewer than `FEWEST`, so that a pattern that has become easier is noticed.

*How.* Each pattern is drawn with the default temperature and top_p, until another pair of them (an *arm*) has surely
done better; a share of the failures is left to Thompson sampling, which tries the arms as often as they may still turn
out to be the best.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.evolution.history import Strategy
from pipeline.evolution.tallies import DOUBT, Arm, PatternTally, Tallies, Tally, belief

FEWEST = 4  # samples
MOST = 128  # samples
EXPLORING = 0.1  # of the failures
FACTORS = (0.7, 1.3)  # of the default temperature

_ARM_DOUBT = 60.0  # the exposure for which it counts what a pattern and an arm let expect of the two together
_SURE = 1.28  # standard deviations: nine in ten; without it chance alone moves patterns off a good default (LOG.md)
_RAISED = 2  # most samples of a pattern, in those of the default
_HOTTEST = 2.0


@dataclass(frozen=True, slots=True)
class Advice:
    """For one pattern: the arms with what is known of each, as a Beta distribution of the first draft's chance."""

    samples: int
    chance: float
    best: Arm
    beliefs: dict[Arm, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A night's advice. `drafts` and `solved` are expected, with the plan and by default."""

    default: Strategy
    advice: dict[str, Advice] = field(default_factory=dict)
    seed: int = 0
    drafts: float = 0.0
    solved: float = 0.0
    default_drafts: float = 0.0
    default_solved: float = 0.0

    def strategy(self, pattern: str, failure: str) -> Strategy:
        """For one failure, the same whenever it is asked for; the default where the plan knows nothing."""
        advice = self.advice.get(pattern)
        if advice is None:
            return self.default
        chance = random.Random(f"{self.seed}\n{failure}")
        arm = advice.best
        if chance.random() < EXPLORING:
            drawn = {each: chance.betavariate(*belief) for each, belief in advice.beliefs.items()}
            arm = max(drawn, key=drawn.__getitem__)
        return Strategy(*arm, advice.samples)


def plan(
    tallies: Tallies, failures: Mapping[str, int], default: Strategy, seed: int, budget: float | None = None
) -> Plan:
    """Advice for the patterns of a night.

    Args:
        tallies: what past nights have shown.
        failures: pattern → how many there are tonight.
        default: what would be done without a plan; it is one of the arms.
        seed: of the Thompson sampling.
        budget: drafts that the night may be expected to draw; none: as many as by default.
    """
    arms, chance = arms_of(default), tallies.chance
    ratios = _ratios(tallies, arms, chance)
    beliefs: dict[str, dict[Arm, tuple[float, float]]] = {}
    for pattern in sorted(failures):
        known = tallies.patterns.get(pattern, PatternTally())
        guess = known.all.chance(chance)
        beliefs[pattern] = {arm: belief(known.arms.get(arm, Tally()), guess * ratios[arm], _ARM_DOUBT) for arm in arms}
    best = {pattern: _best(each, default.arm) for pattern, each in beliefs.items()}
    most = max(default.samples, min(MOST, _RAISED * default.samples))
    curves = {each: _Curve(_mean(beliefs[each][best[each]]), tallies.patience, most) for each in beliefs}
    unsteered = {each: _Curve(_mean(beliefs[each][default.arm]), tallies.patience, most) for each in beliefs}
    by_default = dict.fromkeys(beliefs, default.samples)
    given = _drafts(unsteered, failures, by_default)
    fewest = min(FEWEST, default.samples)
    samples = _allot(curves, failures, given if budget is None else budget, fewest, most)
    return Plan(
        default,
        {each: Advice(samples[each], curves[each].chance, best[each], beliefs[each]) for each in beliefs},
        seed,
        drafts=_drafts(curves, failures, samples),
        solved=_solved(curves, failures, samples),
        default_drafts=given,
        default_solved=_solved(unsteered, failures, by_default),
    )


def arms_of(default: Strategy) -> list[Arm]:
    """The default temperature first, then a colder and a hotter one."""
    others = (round(min(_HOTTEST, factor * default.temperature), 3) for factor in FACTORS)
    return list(dict.fromkeys((each, default.top_p) for each in (default.temperature, *others) if each > 0))


def _ratios(tallies: Tallies, arms: Sequence[Arm], chance: float) -> dict[Arm, float]:
    """What each arm solved, over what its patterns would have let expect: it holds where a pattern has not tried it."""
    seen = {arm: [0.0, 0.0] for arm in arms}
    for pattern in tallies.patterns.values():
        expected = pattern.all.chance(chance)
        for arm in arms:
            if one := pattern.arms.get(arm):
                seen[arm][0] += one.solved
                seen[arm][1] += expected * one.exposure
    return {arm: (DOUBT + each[0]) / (DOUBT + each[1]) for arm, each in seen.items()}


def _best(beliefs: Mapping[Arm, tuple[float, float]], default: Arm) -> Arm:
    """The default, unless another arm is surely better."""

    def surely_better(arm: Arm) -> bool:
        doubt = math.sqrt(_variance(beliefs[arm]) + _variance(beliefs[default]))
        return _mean(beliefs[arm]) - _mean(beliefs[default]) > _SURE * doubt

    better = [arm for arm in beliefs if surely_better(arm)]
    return max(better, key=lambda arm: _mean(beliefs[arm]), default=default)


def _mean(belief: tuple[float, float]) -> float:
    return belief[0] / (belief[0] + belief[1])


def _variance(belief: tuple[float, float]) -> float:
    mean = _mean(belief)
    return mean * (1 - mean) / (belief[0] + belief[1] + 1)


class _Curve:
    """What so many samples of a pattern are expected to cost and to bring, for each number up to `most`."""

    def __init__(self, chance: float, patience: float, most: int) -> None:
        self.chance, self._patience = chance, patience
        self.drafts = [0.0]  # drawn, when one stops at the first that is accepted
        self._left = [1.0]  # share of the failures that is not solved
        for drawn in range(most):
            self.drafts.append(self.drafts[-1] + self._left[-1])
            self._left.append(self._left[-1] * (1 - chance * patience / (patience + drawn)))

    def solved(self, samples: int) -> float:
        return 1 - self._left[samples]

    def samples(self, level: float) -> float:
        """After how many drafts the chance of another one has fallen to `level`."""
        return self._patience * (self.chance / level - 1)


def _drafts(curves: Mapping[str, _Curve], failures: Mapping[str, int], samples: Mapping[str, int]) -> float:
    return sum(failures[each] * curve.drafts[samples[each]] for each, curve in curves.items())


def _solved(curves: Mapping[str, _Curve], failures: Mapping[str, int], samples: Mapping[str, int]) -> float:
    return sum(failures[each] * curve.solved(samples[each]) for each, curve in curves.items())


def _allot(
    curves: Mapping[str, _Curve], failures: Mapping[str, int], budget: float, fewest: int, most: int
) -> dict[str, int]:
    """Samples for each pattern: the last drafts of all have the same chance, and all cost the budget at most."""

    def at(level: float) -> dict[str, int]:
        return {each: round(min(most, max(fewest, curve.samples(level)))) for each, curve in curves.items()}

    low, high = 1e-6, 1.0  # of the level: too dear, and cheap enough
    for _ in range(40):
        middle = (low * high) ** 0.5
        cheap = _drafts(curves, failures, at(middle)) <= budget * (1 + 1e-9)
        low, high = (low, middle) if cheap else (middle, high)
    return at(high)
