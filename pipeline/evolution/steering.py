"""A harvest's way to the past: ask it for a strategy before each failure, tell it what came of it, and sum up.

reads, appends  `training_data/patterns.jsonl` (`pipeline.evolution.history`)
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.evolution import history
from pipeline.evolution.categories import categorize
from pipeline.evolution.history import Attempt, History, Strategy
from pipeline.evolution.mix import weights
from pipeline.evolution.patterns import Catalogue, Pattern
from pipeline.evolution.strategies import Plan, plan
from pipeline.evolution.tallies import Share, Tallies, tally
from pipeline.evolution.teachers import turns
from pipeline.lib.problems import Problems

_DAY = 24 * 3600.0  # seconds
_SHOWN = 8  # patterns in a summary, those of most failures


class Steering:
    """One harvest's. Can be sent to another machine for its strategies; what came of them is recorded at home."""

    def __init__(
        self,
        path: Path,
        questions: Iterable[str],
        default: Strategy,
        now: float,
        seed: int,
        problems: Problems,
        teachers: Sequence[str] = (),
    ) -> None:
        """Read the past, find the patterns of tonight's questions, make a plan.

        Args:
            path: the history.
            questions: of tonight's failures; read twice, so a list, or something that can be read again.
            default: what would be done without a past.
            now: seconds since 1970.
            seed: of what is tried.
            problems: takes what cannot be read of the history.
            teachers: the names of those that draft together.
        """
        past = history.read(path, problems)
        self.path, self.now, self.teachers = path, now, teachers
        self.tallies = tally(past, now)
        # A harvest that is killed and goes on the same day gives each draft to the same teacher: it has been paid for.
        self._abilities = tally(_before(past, now - now % _DAY), now) if len(teachers) > 1 else self.tallies
        self.catalogue = Catalogue(known_patterns(past, self.tallies))
        self.catalogue.learn(questions)
        self._written = set(past.patterns)
        self._failures = Counter(self.catalogue.of(question).id for question in questions)
        self.plan = plan(self.tallies, self._failures, default, seed)
        self.patterns: dict[str, Pattern] = {each.id: each for each in self.catalogue.patterns}
        self.attempts: list[Attempt] = []

    def strategy(self, question: str, failure: str, category: str | None = None) -> Strategy:
        """For one failure, the same whenever it is asked for; without a category, the teachers have their turns."""
        drawn = self.plan.strategy(self.catalogue.of(question).id, failure)
        if category is None:
            return drawn
        whose = turns(self._abilities, category, self.teachers, drawn.samples, self.plan.seed, failure)
        return replace(drawn, turns=whose)

    def promise(self, question: str) -> float:
        """The chance of a first draft: where time is short, what promises most may go first."""
        advice = self.plan.advice.get(self.catalogue.of(question).id)
        return self.tallies.chance if advice is None else advice.chance

    def record(
        self,
        question: str,
        failure: str,
        error: str | None,
        model: str,
        votes: Mapping[str, int],
        solved: bool,
        run: str | None,
        by: Mapping[str, Sequence[int]] | None = None,
    ) -> bool:
        """Write down what came of a failure.

        Args:
            question: what was asked.
            failure: the interaction's id.
            error: why the bad answer failed.
            model: the teacher's name.
            votes: the council's: `cast`, `valid` and, where its check has accepted some, `accepted`.
            solved: whether an answer that passed its check goes on.
            run: the night.
            by: for each of several teachers how many drafts it wrote, and how many of them the check accepted.

        Returns: false when it says nothing: nothing was drawn, or the drafts could only be run, not checked.

        Raises:
            DiskError: the disk is full or refuses.
        """
        drafts, accepted = votes.get("cast", 0), votes.get("accepted", 0)
        if not drafts or (votes.get("valid", 0) and not accepted):
            return False
        pattern = self.catalogue.of(question)
        drawn = self.plan.strategy(pattern.id, failure)
        attempt = Attempt(
            pattern.id,
            categorize(error),
            model,
            drawn.temperature,
            drawn.top_p,
            drawn.samples,
            drafts,
            accepted,
            history.first_accepted(drafts, accepted),
            solved and accepted > 0,
            failure,
            self.now,
            run,
            by,
        )
        history.append(self.path, [] if pattern.id in self._written else [pattern], [attempt])
        self._written.add(pattern.id)
        self.patterns[pattern.id] = pattern
        self.attempts.append(attempt)
        return True

    def summary(self) -> dict[str, Any]:
        """For the harvest's manifest, under `steering`."""
        return steering_summary(self.plan, self.tallies, self.attempts, self.patterns)


class Mix:
    """How much good answers to questions of a pattern should weigh in replay, by what past nights have shown."""

    def __init__(self, path: Path, now: float) -> None:
        """Read the past (a file that cannot be read whole is used as far as it goes)."""
        past = history.read(path, Problems())
        self._tallies = tally(past, now)
        self._catalogue = Catalogue(known_patterns(past, self._tallies))
        self._known = bool(past.attempts)
        self._weights: dict[str, float] = {}

    def weight(self, question: str) -> float:
        """From 1 (as they come) to 3."""
        if not self._known:
            return 1.0
        pattern = self._catalogue.of(question).id
        if pattern not in self._weights:
            self._weights |= weights(self._tallies, [pattern])
        return self._weights[pattern]


def _before(past: History, moment: float) -> History:
    return History(past.patterns, {key: each for key, each in past.attempts.items() if each.at < moment})


def known_patterns(past: History, tallies: Tallies) -> list[Pattern]:
    """Those of the history that have words, what was tried most and last first."""
    weights = {name: tallies.patterns[name].weight if name in tallies.patterns else 0.0 for name in past.patterns}
    ordered = sorted(weights, key=lambda name: (-weights[name], name))
    return [past.patterns[name] for name in ordered if past.patterns[name].words]


def steering_summary(
    planned: Plan, before: Tallies, attempts: Sequence[Attempt], patterns: Mapping[str, Pattern]
) -> dict[str, Any]:
    """What the past changed tonight, and what came of it.

    Args:
        planned: tonight's plan.
        before: the past that it was made from.
        attempts: tonight's.
        patterns: by id.

    Returns: `default` (strategy), `learned_from` (earlier attempts), `expected` (solved and drafts, with the plan and
    by default), `failures`, `solved`, `drafts`, and `patterns`: for each of the largest its strategy and its rates.
    """
    default = planned.default
    groups: dict[str, list[Attempt]] = {}
    for each in attempts:
        groups.setdefault(each.pattern, []).append(each)
    largest = sorted(groups, key=lambda name: (-len(groups[name]), name))[:_SHOWN]
    return {
        "default": {"temperature": default.temperature, "top_p": default.top_p, "samples": default.samples},
        "learned_from": sum(each.failures for each in before.patterns.values()),
        "expected": {
            "solved": round(planned.solved, 1),
            "drafts": round(planned.drafts),
            "default_solved": round(planned.default_solved, 1),
            "default_drafts": round(planned.default_drafts),
        },
        **_came_of(attempts),
        "patterns": [
            {
                "pattern": name,
                "label": patterns[name].label,
                "length": patterns[name].length,
                **_advised(planned, name),
                **_came_of(groups[name]),
                "before": _rates(before, name),
                "after": rates(Share(sum(each.solved for each in groups[name]), len(groups[name]))),
            }
            for name in largest
        ],
    }


def rates(share: Share) -> dict[str, Any] | None:
    """A share as `{rate, low, high}`; none: nothing is known."""
    if share.failures <= 0:
        return None
    low, high = share.interval()
    return {"rate": round(share.solved / share.failures, 4), "low": round(low, 4), "high": round(high, 4)}


def _rates(before: Tallies, name: str) -> dict[str, Any] | None:
    known = before.patterns.get(name)
    return rates(Share(known.solved, known.failures)) if known else None


def _advised(planned: Plan, name: str) -> dict[str, Any]:
    advice = planned.advice.get(name)
    temperature, samples = (
        (advice.best[0], advice.samples) if advice else (planned.default.temperature, planned.default.samples)
    )
    return {"temperature": temperature, "samples": samples}


def _came_of(attempts: Sequence[Attempt]) -> dict[str, int]:
    return {
        "failures": len(attempts),
        "solved": sum(each.solved for each in attempts),
        "drafts": sum(each.drafts for each in attempts),
    }
