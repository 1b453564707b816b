"""How often a training shows each row. Pure.

A training that goes on knows most rows already: they are there so that nothing is forgotten. What is new has to be seen
often. All of it alike, as in a training from the base, takes ever longer and shows what is new ever more rarely.
"""

from collections.abc import Collection, Sequence
from typing import TypeVar

from pipeline.backends.trainers.presets import Recipe

_Row = TypeVar("_Row")


def shown(
    rows: Sequence[tuple[str, _Row]], new: Collection[str], known: Collection[str], recipe: Recipe
) -> tuple[list[tuple[str, _Row]], float]:
    """What one epoch shows, and how many epochs there are.

    Args:
        rows: interactions and their rows.
        new: the rewritten interactions that the start has yet to learn; none: all rows are alike.
        known: those that it was trained on.
        recipe: how often.
    """
    fresh = [row for row in rows if row[0] in new]
    if not fresh or recipe.new_passes is None:
        return list(rows), recipe.epochs_for(len(rows))
    earlier = [row for row in rows if row[0] in known]
    replayed = [row for row in rows if row[0] not in new and row[0] not in known]
    return fresh * recipe.passes_for(len(fresh)) + earlier * recipe.known_passes + replayed, 1
