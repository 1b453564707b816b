"""What learning from past nights costs and brings: the history read, questions sorted, more solved with equal drafts.

python -m benchmarks.patterns [--quick] [--json]

The nights are simulated, with a population that the planner knows nothing of: patterns differ in how hard they are
(one draft in three … in a thousand is right), failures of one pattern differ among themselves, and some patterns like
another temperature. Compared is the same number of samples for everybody, as many as bring the same number of drafts.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import pattern_teachers
from benchmarks.pattern_teachers import TEACHERS
from benchmarks.table import Row, finish
from pipeline.evolution import history
from pipeline.evolution.history import Attempt, History, Strategy
from pipeline.evolution.patterns import Catalogue
from pipeline.evolution.strategies import Plan, arms_of, plan
from pipeline.evolution.tallies import tally
from pipeline.lib.problems import Problems
from pipeline.starter import tasks

BEGIN, DAY = 1e9, 24 * 3600.0  # seconds since 1970, seconds
ARMS = arms_of(Strategy(1.0, 0.9, 32))
TASTES = ((1.0, 0.5, 1.6), (1.0, 1.5, 0.5), (1.0, 0.8, 0.8))  # what each arm makes of a pattern's chance
NO_TASTE = ((1.0, 1.0, 1.0),)
EQUAL = (8, 16, 24, 32, 40, 48, 64, 96)  # samples for everybody that are tried


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="3 seeds instead of 20")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        read, summed = history_seconds(Path(folder) / "patterns.jsonl", 100_000)
    starter, prose = sorting_seconds(_day(2000)), sorting_seconds(_prose(2000))
    rows = [
        Row("100,000 lines read and summed up", "< 1 s", f"{read + summed:.2f} s", read + summed < 1),
        Row("2,000 questions of the starter sorted", "< 1 s", f"{starter:.2f} s", starter < 1),
        Row("2,000 questions of random words sorted", "< 1 s", f"{prose:.2f} s", prose < 1),
    ]
    measured: dict[str, Any] = {"read_s": read, "summed_s": summed, "starter_s": starter, "prose_s": prose}
    for alike in (2.0, 8.0, 32.0, 1000.0):
        for name, tastes, bar in (("temperatures matter", TASTES, 1.1), ("they do not", NO_TASTE, 1.05)):
            gains = [gain(seed, alike, tastes) for seed in range(3 if arguments.quick else 20)]
            mean, least = statistics.mean(gains), min(gains)
            measure = f"solved with equal drafts, times equal shares: {name}, alike {alike:g}"
            rows.append(Row(measure, f"≥ {bar:g}", f"{mean:.2f} (worst seed {least:.2f})", mean >= bar))
            measured[measure] = [round(each, 3) for each in gains]
    for words, repeats in (("half of them in the same words", 0.5), ("never in the same words", 0.0)):
        several = [pattern_teachers.gain(seed, repeats) for seed in range(1 if arguments.quick else 6)]
        (solved, fewer), least = map(statistics.mean, zip(*several, strict=True)), min(each for each, _ in several)
        measure = f"solved when past nights choose whom of {len(TEACHERS)} teachers to ask, times in turn: {words}"
        told = f"{solved:.2f} (worst seed {least:.2f}), with {fewer:.2f} times the drafts"
        rows.append(Row(measure, "≥ 1", told, solved >= 1))
        measured[measure] = [[round(each, 3) for each in pair] for pair in several]
    finish("patterns", rows, {"measured": measured}, arguments.json, keep=not arguments.quick)


def history_seconds(path: Path, lines: int) -> tuple[float, float]:
    """Seconds of a processor to read so many lines (700 a night), and to sum them up: the best of five."""
    chance = random.Random(0)
    attempts = []
    for number in range(lines):
        solved = chance.random() < 0.4
        attempts.append(
            Attempt(
                *(f"{number % 150:012x}", chance.choice(("logic", "stack")), f"starter@{number // 700}"),
                *(*chance.choice(ARMS), 32, first := chance.randint(1, 32), int(solved), first * solved, solved),
                *(f"{number:024x}", BEGIN + number // 700 * DAY, "20261120T020000Z"),
            )
        )
    history.append(path, [], attempts)
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        past = history.read(path, Problems())
        middle = time.process_time()
        tally(past, BEGIN + lines / 700 * DAY)
        seconds.append((middle - begun, time.process_time() - middle))
        assert len(past.attempts) == lines
    return min(seconds, key=sum)


def sorting_seconds(questions: list[str]) -> float:
    """Seconds of a processor to find the patterns of some questions and to give each its own."""
    begun = time.process_time()
    catalogue = Catalogue()
    catalogue.learn(questions)
    for question in questions:
        catalogue.of(question)
    return time.process_time() - begun


def gain(seed: int, alike: float, tastes: tuple[tuple[float, ...], ...]) -> float:
    """What learned strategies solve, over what equal shares solve with the same number of drafts (interpolated)."""
    solved, drafts = nights(seed, Strategy(1.0, 0.9, 32), True, alike, tastes)
    before = (0, 0)
    for samples in EQUAL:
        equal = nights(seed, Strategy(1.0, 0.9, samples), False, alike, tastes)
        if equal[1] >= drafts:
            return solved / (before[0] + (equal[0] - before[0]) * (drafts - before[1]) / (equal[1] - before[1]))
        before = equal
    return solved / before[0]


def nights(
    seed: int, default: Strategy, steered: bool, alike: float, tastes: tuple[tuple[float, ...], ...]
) -> tuple[int, int]:
    """Six nights of 300 failures; what the last five solved, and their drafts.

    Args:
        seed: of the population and its luck; a failure's luck does not depend on the strategy.
        default: what is done without a plan.
        steered: whether there is one.
        alike: how much failures of one pattern are alike (the sum of the parameters of a Beta distribution).
        tastes: what each arm makes of a pattern's chance, one of which each pattern gets.
    """
    source = random.Random(seed)
    means = {f"pattern {number}": 10 ** source.uniform(-3, -0.5) for number in range(12)}
    liking = {pattern: dict(zip(ARMS, source.choice(tastes), strict=True)) for pattern in means}
    past, solved, drafts = History(), 0, 0
    for night in range(6):
        now = BEGIN + night * DAY
        failures = [(source.choice(list(means)), f"{seed} {night} {number}") for number in range(300)]
        counts = Counter(pattern for pattern, _ in failures)
        made = plan(tally(past, now), counts, default, seed) if steered else Plan(default)
        for pattern, failure in failures:
            drawn = made.strategy(pattern, failure)
            first = _first(failure, drawn, min(0.95, means[pattern] * liking[pattern][drawn.arm]), alike)
            each = Attempt(
                *(pattern, "logic", f"night {night}", *drawn.arm, drawn.samples, first or drawn.samples),
                *(int(first > 0), first, first > 0, failure, now, None),
            )
            past.attempts[each.key] = each
            solved, drafts = solved + (night > 0) * each.solved, drafts + (night > 0) * each.drafts
    return solved, drafts


def _first(failure: str, drawn: Strategy, mean: float, alike: float) -> int:
    """The draft that is right first; 0: none of the samples."""
    luck = random.Random(failure)
    chance = luck.betavariate(alike * mean, alike * (1 - mean))
    return next((draft for draft in range(1, drawn.samples + 1) if luck.random() < chance), 0)


def _day(count: int) -> list[str]:
    chance = random.Random(0)
    return [tasks.draw(chance, chance.randint(1, tasks.MOST_OPERATIONS)).question for _ in range(count)]


def _prose(count: int) -> list[str]:
    """Nothing to find: the dearest case."""
    chance = random.Random(0)
    words = [f"word{number}x" for number in range(3000)]
    return [" ".join(chance.choices(words, k=chance.randint(5, 60))) for _ in range(count)]


if __name__ == "__main__":
    main()
