"""The starter's jobs: plain sentences → programs for the Sovereign VM, by family of tasks."""

import random
from collections.abc import Collection, Iterator, Sequence

from pipeline.lib.text import normalize
from pipeline.starter import arithmetic, texts
from pipeline.starter.task import Task

FAMILIES = {arithmetic.FAMILY: arithmetic.draw, texts.FAMILY: texts.draw}
MOST_OPERATIONS = 5
HOLDOUT_SIZE = 400
REHEARSAL_SIZE = 900
MOST_REHEARSED = 3  # operations


def draw(source: random.Random, operations: int, family: str = arithmetic.FAMILY) -> Task:
    """A random task with exactly so many operations."""
    return FAMILIES[family](source, operations)


def holdout(family: str = arithmetic.FAMILY) -> list[Task]:
    """The fixed hold-out: 400 tasks, equally many for each number of operations, no two alike."""
    source = random.Random("hold-out")
    seen: set[str] = set()
    tasks: list[Task] = []
    while len(tasks) < HOLDOUT_SIZE:
        task = draw(source, 1 + len(tasks) % MOST_OPERATIONS, family)
        if (key := normalize(task.question)) not in seen:
            seen.add(key)
            tasks.append(task)
    return tasks


def every_holdout() -> list[Task]:
    """Those of all families."""
    return [task for family in FAMILIES for task in holdout(family)]


def rehearsal() -> list[Task]:
    """What the base was made for: short tasks of all families, none of them held out."""
    source = random.Random("rehearsal")
    seen = {normalize(task.question) for task in every_holdout()}
    found: list[Task] = []
    while len(found) < REHEARSAL_SIZE:
        task = draw(source, source.randint(1, MOST_REHEARSED), source.choice(list(FAMILIES)))
        if (key := normalize(task.question)) not in seen:
            seen.add(key)
            found.append(task)
    return found


def traffic(seed: int, forbidden: Collection[str], families: Sequence[str] = (arithmetic.FAMILY,)) -> Iterator[Task]:
    """An endless day of questions; none of the normalised texts in `forbidden` is among them."""
    source = random.Random(f"day {seed}")
    while True:
        family = families[0] if len(families) == 1 else source.choice(families)
        task = draw(source, source.randint(1, MOST_OPERATIONS), family)
        if normalize(task.question) not in forbidden:
            yield task
