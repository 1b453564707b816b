"""What it brings to know which teacher solves what: simulated nights, with teachers asked in turn or as learned.

Each teacher has a chance of its own for each category (one draft in two … in three hundred is right), which nobody
knows; failures of one category differ among themselves.
"""

import random

from pipeline.evolution.categories import CATEGORIES
from pipeline.evolution.history import Attempt, History
from pipeline.evolution.tallies import tally
from pipeline.evolution.teachers import turns

TEACHERS = ("teacher a", "teacher b", "teacher c")
SAMPLES = 16
_BEGIN, _DAY = 1e9, 24 * 3600.0  # seconds since 1970, seconds
_ALIKE = 8.0  # how much failures of one category are alike (the sum of the parameters of a Beta distribution)


def gain(seed: int) -> tuple[float, float]:
    """What is solved when past nights choose whom to ask, over what is solved in turn; and the same for drafts."""
    (solved, drafts), (equal_solved, equal_drafts) = nights(seed, True), nights(seed, False)
    return solved / equal_solved, drafts / equal_drafts


def nights(seed: int, chosen: bool) -> tuple[int, int]:
    """Six nights of 300 failures; what the last five solved, and their drafts."""
    source = random.Random(seed)
    means = {(each, category): 10 ** source.uniform(-2.5, -0.3) for each in TEACHERS for category in CATEGORIES}
    past, solved, drafts = History(), 0, 0
    for night in range(6):
        now = _BEGIN + night * _DAY
        known = tally(past, now)
        for number in range(300):
            failure, category = f"{seed} {night} {number}", source.choice(CATEGORIES)
            order = turns(known, category, TEACHERS, SAMPLES, seed, failure) if chosen else ()
            asked = _drawn(failure, order or TEACHERS, {each: means[each, category] for each in TEACHERS})
            accepted = int(asked[-1][1])
            by = {each: (sum(name == each for name, _ in asked), 0) for each in TEACHERS}
            by[asked[-1][0]] = (by[asked[-1][0]][0], accepted)
            each = Attempt(
                *("pattern", category, " + ".join(TEACHERS), 1.0, 0.9, SAMPLES, len(asked)),
                *(accepted, accepted * len(asked), accepted > 0, failure, now, None, by),
            )
            past.attempts[each.key] = each
            solved, drafts = solved + (night > 0) * accepted, drafts + (night > 0) * len(asked)
    return solved, drafts


def _drawn(failure: str, order: tuple[str, ...], means: dict[str, float]) -> list[tuple[str, bool]]:
    """The drafts, up to the first that is right: who wrote it, and whether it is."""
    luck = random.Random(failure)
    chances = {each: luck.betavariate(_ALIKE * mean, _ALIKE * (1 - mean)) for each, mean in means.items()}
    found: list[tuple[str, bool]] = []
    for number in range(SAMPLES):
        teacher = order[number % len(order)]
        found.append((teacher, luck.random() < chances[teacher]))
        if found[-1][1]:
            break
    return found
