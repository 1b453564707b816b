"""How often the gate and the live watch err: the shipped functions on seeded histories, other rules on the same ones.

    python -m benchmarks.gate [--quick] [--json]

Unless a row says otherwise the incumbent is right on 95 % of the questions. A candidate's answer to a question goes the
incumbent's way with a probability of 0.8, else it is drawn independently.
"""

import argparse
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from scipy.stats import binomtest

from benchmarks.table import Row, finish
from pipeline.gate.monitor import Limits, Window, judge
from pipeline.gate.sequential import Leg, difference
from pipeline.lib.sections import Canary

INCUMBENT, SHARED, PAIRS = 0.95, 0.8, 200
ALPHA, MARGIN = Canary().alpha, Canary().margin
Answers = numpy.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a gate ended, and after how many pairs."""

    outcome: str
    pairs: int


def histories(source: numpy.random.Generator, count: int, candidate: float, pairs: int = PAIRS) -> Iterator[Answers]:
    """Rows of (candidate right, incumbent right)."""
    for _ in range(count):
        luck = source.random(pairs)
        own = numpy.where(source.random(pairs) < SHARED, luck, source.random(pairs))
        yield numpy.stack([own < candidate, luck < INCUMBENT], axis=1)


def sequential(history: Answers) -> Ending:
    """The shipped gate, asked after every pair."""
    leg = Leg("overall", ALPHA, MARGIN)
    for number, (ours, theirs) in enumerate(history.tolist(), start=1):
        leg.add([difference(ours, theirs)])
        if leg.decide() != "inconclusive":
            return Ending(leg.outcome, number)
    return Ending("inconclusive", len(history))


def threshold(history: Answers) -> Ending:
    """What many do: the candidate alone, 20 questions, refused under 85 %."""
    return Ending("fail" if history[:20, 0].mean() < 0.85 else "pass", 20)


def all_must_pass(history: Answers) -> Ending:
    """Twenty questions, one miss refuses."""
    return Ending("pass" if history[:20, 0].all() else "fail", 20)


def mcnemar_once(history: Answers) -> Ending:
    """One exact McNemar test after the last pair; what is not refused is promoted."""
    return Ending("fail" if _worse(*_differing(history)) else "pass", len(history))


def mcnemar_at_every_look(history: Answers) -> Ending:
    """The same test read after every pair, as impatient people do."""
    wins = losses = 0
    for number, (ours, theirs) in enumerate(history.tolist(), start=1):
        wins, losses = wins + (ours and not theirs), losses + (theirs and not ours)
        if ours != theirs and _worse(wins, losses):
            return Ending("fail", number)
    return Ending("pass", len(history))


def _differing(history: Answers) -> tuple[int, int]:
    ours, theirs = history[:, 0], history[:, 1]
    return int((ours & ~theirs).sum()), int((theirs & ~ours).sum())


_KNOWN: dict[tuple[int, int], bool] = {}


def _worse(wins: int, losses: int) -> bool:
    if (wins, losses) not in _KNOWN:
        value = binomtest(wins, wins + losses, alternative="less").pvalue if wins + losses else 1.0
        _KNOWN[wins, losses] = bool(value <= 0.05)
    return _KNOWN[wins, losses]


RULES: dict[str, Callable[[Answers], Ending]] = {
    "the gate, at most 200 pairs": sequential,
    '"success < 85 %" of 20': threshold,
    '"all must pass" of 20': all_must_pass,
    "McNemar once, 200 pairs": mcnemar_once,
    "McNemar at every look": mcnemar_at_every_look,
}
CANDIDATES = {"equal": 0.95, "+2": 0.97, "-5": 0.90, "-10": 0.85, "-20": 0.75}


def compare_rules(count: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Rule → candidate → shares of refused, promoted, inconclusive, and the median pairs until it ended."""
    table: dict[str, dict[str, dict[str, float]]] = {rule: {} for rule in RULES}
    for name, candidate in CANDIDATES.items():
        made = list(histories(numpy.random.default_rng([seed, int(candidate * 100)]), count, candidate))
        for rule, decide in RULES.items():
            endings = [decide(history) for history in made]
            outcomes = Counter(ending.outcome for ending in endings)
            table[rule][name] = {
                **{outcome: outcomes[outcome] / count for outcome in ("fail", "pass", "inconclusive")},
                "median_pairs": statistics.median(ending.pairs for ending in endings),
            }
    return table


def empty_verdicts(count: int) -> int:
    """How many legs decide anything from no pairs, or from pairs with one side missing."""
    decided = 0
    for number in range(count):
        leg = Leg("overall", ALPHA, MARGIN)
        for _ in range(number % PAIRS):
            leg.add([difference(True, None) if number % 2 else difference(None, False)])
        decided += leg.decide() != "inconclusive"
    return decided


def nights(count: int, seed: int, length: int = 90, questions: int = 400) -> Answers:
    """Where the served model's true success is after 90 nights of a slowly worsening recipe.

    The same 400 hidden questions every night: luck on them is remembered, as in reality. Day 0 is compared with, too.
    """
    source = numpy.random.default_rng([seed, 90])
    endings = numpy.empty(count)
    for history in range(count):
        luck = source.random(questions)
        true = 0.90
        current = day_zero = _answers(source, luck, true)
        for change in source.normal(-0.003, 0.02, length):
            candidate = min(1.0, max(0.0, true + change))
            answers = _answers(source, luck, candidate)
            if _promoted(answers, current, day_zero, source):
                true, current = candidate, answers
        endings[history] = true
    return endings


def _answers(source: numpy.random.Generator, luck: Answers, success: float) -> Answers:
    shared = source.random(len(luck)) < SHARED**0.5
    return numpy.where(shared, luck, source.random(len(luck))) < success


def _promoted(answers: Answers, current: Answers, day_zero: Answers, source: numpy.random.Generator) -> bool:
    """The stage's rule: both legs needed, looked at after each batch of 64 questions."""
    order = source.permutation(len(answers))
    legs = [Leg("incumbent", ALPHA, MARGIN, needed=True), Leg("day 0", ALPHA, MARGIN, needed=True)]
    differences = [answers.astype(int)[order] - other.astype(int)[order] for other in (current, day_zero)]
    for start in range(0, len(order), 64):
        for leg, observed in zip(legs, differences, strict=True):
            values, counts = numpy.unique(observed[start : start + 64], return_counts=True)
            leg.observations.update(dict(zip(values.astype(float).tolist(), counts.tolist(), strict=True)))
            if leg.decide() == "fail":
                return False
        if all(leg.outcome == "pass" for leg in legs):
            return True
    return False


def watched(outcomes: Iterator[bool], most: int, limits: Limits, errors: bool = False) -> int | None:
    """Requests until the watch rolls back; none when it does not within `most`."""
    seen: list[bool] = []
    for outcome in outcomes:
        seen.append(outcome)
        trailing = 0
        if errors:
            trailing = next((n for n, each in enumerate(reversed(seen)) if each), len(seen))
        if judge(Window(seen, trailing), limits).health == "failing":
            return len(seen)
        if len(seen) >= most:
            return None
    return None


def watch_rows(count: int, seed: int) -> list[Row]:
    """The live watch: outage, collapse, false alarms."""
    source = numpy.random.default_rng([seed, 7])
    limits = Limits(0.85, 1000, 20, INCUMBENT)

    def draws(*parts: tuple[int, float]) -> Iterator[bool]:
        for length, success in parts:
            yield from (source.random(length) < success).tolist()

    outages = [watched(draws((start, 0.99), (50, 0.0)), 100, limits, errors=True) for start in range(50)]
    after = [ended - start if ended else 99 for start, ended in enumerate(outages)]
    collapses = [watched(draws((300, 0.5)), 300, limits) or 300 for _ in range(count)]
    later = [(watched(draws((30, INCUMBENT), (300, 0.5)), 330, limits) or 330) - 30 for _ in range(count // 10)]
    false = sum(_false_alarm(source.random(1000) < INCUMBENT, limits) for _ in range(count)) / count
    return [
        Row(
            "total outage at any moment of the watch: most requests until rollback",
            "≤ 3",
            str(max(after)),
            max(after) <= 3,
        ),
        Row(
            "success falls to 50 % with the deployment: median requests until rollback",
            "≤ 5",
            f"{statistics.median(collapses):g}",
            statistics.median(collapses) <= 5,
        ),
        Row("the same after 30 healthy requests", "–", f"{statistics.median(later):g}", None),
        Row("false rollbacks in 1,000 healthy requests", "≤ 0.6 %", f"{false:.2%}", false <= 0.006),
    ]


def _false_alarm(outcomes: Answers, limits: Limits) -> bool:
    """Whether a watch of healthy requests ends in a rollback; looked at where its evidence can peak: at failures."""
    listed = outcomes.tolist()
    return any(
        judge(Window(listed[: position + 1]), limits).health == "failing"
        for position, right in enumerate(listed)
        if not right
    )


def gate_rows(table: dict[str, dict[str, dict[str, float]]], empty: int, drift: Answers) -> list[Row]:
    """The bars of the gate."""
    ours = table[next(iter(RULES))]
    under = float((drift < 0.85).mean())
    refused = max(ours[name]["fail"] for name in ("equal", "+2"))
    ten = ours["-10"]
    return [
        Row("good candidate (equal or better) refused", "≤ 2 %", f"{refused:.2%}", refused <= 0.02),
        Row("-10 points refused by 200 pairs", "≥ 98 %", f"{ten['fail']:.1%}", ten["fail"] >= 0.98),
        Row("-10 points: median pairs", "≤ 75", f"{ten['median_pairs']:g}", ten["median_pairs"] <= 75),
        Row("-5 points promoted", "≤ 3 %", f"{ours['-5']['pass']:.2%}", ours["-5"]["pass"] <= 0.03),
        Row("verdicts from empty or single-sided data", "0", str(empty), empty == 0),
        Row(
            "90 nights of -0.3 ± 2 points from 90 %: histories that end under 85 %",
            "≤ 1 %",
            f"{under:.2%}",
            under <= 0.01,
        ),
    ]


def rule_rows(table: dict[str, dict[str, dict[str, float]]]) -> list[Row]:
    """The second table: other rules on the same histories."""
    return [
        Row(
            f"{rule}: equal refused · -5 promoted · -10 promoted · median pairs at -10",
            "–",
            f"{by['equal']['fail']:.1%} · {by['-5']['pass']:.1%} · {by['-10']['pass']:.1%} · "
            f"{by['-10']['median_pairs']:g}",
            None,
        )
        for rule, by in table.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="500 histories instead of 10,000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    count = 500 if options.quick else 10_000
    table = compare_rules(count, options.seed)
    drift = nights(count // 5 if options.quick else count, options.seed)
    rows = [*gate_rows(table, empty_verdicts(count), drift), *watch_rows(count, options.seed), *rule_rows(table)]
    finish("gate", rows, {"histories": count, "rules": table}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
