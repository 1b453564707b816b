"""Attempts of past nights, for tests of what is learned from them."""

from pipeline.evolution.history import Attempt, History, Strategy

DAY = 24 * 3600.0
NOW = 1e9
DEFAULT = Strategy(1.0, 0.9, 32)


def attempt(pattern: str = "p", solved: bool = False, **more: object) -> Attempt:
    made = Attempt(pattern, "logic", "m", 1.0, 0.9, 32, 32, int(solved), 32 * solved, solved, "f", NOW, None)
    return made._replace(**more)


def past(*attempts: Attempt) -> History:
    numbered = [each._replace(failure=f"{each.failure} {number}") for number, each in enumerate(attempts)]
    return History({}, {each.key: each for each in numbered})


def tried(count: int, **more: object) -> list[Attempt]:
    return [attempt(**more)] * count
