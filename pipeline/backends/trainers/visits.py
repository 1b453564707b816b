"""How often a training shows each row. Pure.

A training that goes on knows most rows already: they are there so that nothing is forgotten, and some of them are
enough for that. What is new has to be seen often. All of it alike, as in a training from the base, takes ever longer
and shows what is new ever more rarely.
"""

import random
from collections.abc import Collection, Sequence
from typing import TypeVar

from pipeline.backends.trainers.presets import Recipe

_Row = TypeVar("_Row")


def shown(
    rows: Sequence[tuple[str, _Row]], new: Collection[str], recipe: Recipe, seed: int
) -> tuple[list[tuple[str, _Row]], float]:
    """What one epoch shows, and how many epochs there are.

    Args:
        rows: interactions and their rows.
        new: the interactions that the start has not learned from; none: all rows are alike.
        recipe: how often.
        seed: of what is drawn from the known rows.
    """
    fresh = [row for row in rows if row[0] in new]
    if not fresh or recipe.new_passes is None:
        return list(rows), recipe.epochs_for(len(rows))
    known = [row for row in rows if row[0] not in new]
    some = random.Random(seed).sample(known, round(recipe.known_share * len(known)))
    return some + fresh * recipe.passes_for(len(fresh)), 1
