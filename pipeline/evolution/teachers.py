"""Whom to ask: which teacher solves which category of failures, by what past nights have shown. Pure."""

import random
from collections.abc import Sequence

from pipeline.evolution.tallies import DOUBT, Tallies, Tally, belief, total

_OPTIMISM = 0.8  # the quantile at which teachers are compared: one that is hardly known gets a chance


def best_teacher(tallies: Tallies, category: str, candidates: Sequence[str]) -> str:
    """The teacher to ask about a category of failures: of equally good ones the first.

    Compared is what each may well be able to do (a high quantile), so that one that is hardly known gets its chance;
    what it did in other categories counts a little.

    Args:
        tallies: what past nights have shown.
        category: of the failure.
        candidates: names of teachers, at least one.
    """
    from scipy.special import betaincinv

    return max(candidates, key=lambda each: float(betaincinv(*_ability(tallies, each, category), _OPTIMISM)))


def turns(
    tallies: Tallies, category: str, candidates: Sequence[str], count: int, seed: int, failure: str
) -> tuple[str, ...]:
    """Whose turn each draft of a failure is, by Thompson sampling: each as often as it may be the best at its category.

    Args:
        tallies: what past nights have shown.
        category: of the failure.
        candidates: names of teachers.
        count: of the drafts.
        seed: with the failure's id and the draft's number, all that chance depends on.
        failure: the interaction's id.

    Returns: a name for each draft; none: it is all the same whose turn it is, there is only one, or nobody is known.
    """
    if len(candidates) < 2 or not any(name in candidates for name, _ in tallies.models):
        return ()
    abilities = {each: _ability(tallies, each, category) for each in candidates}

    def drawn(number: int) -> str:
        chance = random.Random(f"{seed}\n{failure}\n{number}")
        hopes = {each: chance.betavariate(*ability) for each, ability in abilities.items()}
        return max(hopes, key=hopes.__getitem__)

    return tuple(drawn(number) for number in range(count))


def _ability(tallies: Tallies, teacher: str, category: str) -> tuple[float, float]:
    """The Beta distribution of the chance of its first draft."""
    everywhere = total(one for (name, _), one in tallies.models.items() if name == teacher)
    guess = everywhere.chance(tallies.chance)
    return belief(tallies.models.get((teacher, category), Tally()), guess, DOUBT)
