"""The verdict on a candidate: legs, categories, must-pass tasks. Pure: it is told what was answered, and decides.

`overall`       candidate against incumbent on all questions; must pass
`day 0`         candidate against the bare base: many small losses in a row must not add up; must pass
`forgetting`    of what both day 0 and the incumbent knew, surely more than the margin is lost
`over-refusal`  harmless questions that the incumbent answered are declined
`speed`         most answers take longer than allowed, against the incumbent
and each group of questions, compared with the incumbent. All but the first two can only make a candidate fail.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.gate.evidence import proportion_interval
from pipeline.gate.sequential import Leg, Outcome, difference

CATEGORIES = ("functionality", "quality", "instruction_following", "safety", "performance")


@dataclass(frozen=True, slots=True)
class Trial:
    """One question and how the versions did. None: no answer was had, or nothing can say whether it was right.

    `not_run` says why its check could not run: then its category has not run either.
    `preference` is the judges' difference where no check decides, `preference_to_day_zero` likewise against the bare
    base: without it an exam that is mostly judged would never come to the evidence that it needs.
    `seconds_per_token` is (candidate, incumbent), on questions asked to compare the speed.
    """

    id: str
    suite: str
    category: str
    group: str
    must_pass: bool = False
    harmless: bool = False
    candidate: bool | None = None
    incumbent: bool | None = None
    day_zero: bool | None = None
    preference: float | None = None
    preference_to_day_zero: float | None = None
    seconds_per_token: tuple[float, float] | None = None
    not_run: str | None = None

    @property
    def difference(self) -> float | None:
        """Candidate minus incumbent, in [-1, 1]."""
        return self.preference if self.category == "quality" else difference(self.candidate, self.incumbent)

    @property
    def difference_to_day_zero(self) -> float | None:
        """Candidate minus bare base, in [-1, 1]."""
        if self.category == "quality":
            return self.preference_to_day_zero
        return difference(self.candidate, self.day_zero)

    @property
    def satisfied(self) -> bool:
        """Whether the candidate did what a must-pass task wants: it was right, or the judges did not like it less."""
        if self.category == "quality":
            return self.preference is not None and self.preference >= 0
        return bool(self.candidate)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the verdict is held to; `groups` are all that will be seen, for they share one error probability."""

    alpha: float
    margin: float
    required: tuple[str, ...]
    thresholds: dict[str, float]
    latency_ratio: float
    groups: tuple[str, ...]
    compare_with_day_zero: bool


@dataclass(slots=True)
class Examination:
    """Takes trials as they come; may be asked for its outcome at any time."""

    rules: Rules
    trials: list[Trial] = field(default_factory=list)
    legs: dict[str, Leg] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = self.rules
        self.legs["overall"] = Leg("overall", rules.alpha, rules.margin, needed=True)
        if rules.compare_with_day_zero:
            self.legs["day 0"] = Leg("day 0", rules.alpha, rules.margin, needed=True)
        harm_only = ["forgetting", "over-refusal", "speed", *(_leg_of(group) for group in rules.groups)]
        for name in harm_only:
            tolerance = rules.margin if name == "forgetting" else 0.0
            self.legs[name] = Leg(name, rules.alpha / len(harm_only), rules.margin, tolerance=tolerance)

    def add(self, cluster: Sequence[Trial]) -> None:
        """Count the trials of one cluster of questions."""
        self.trials += cluster
        observed: dict[str, list[float | None]] = defaultdict(list)
        for trial in cluster:
            for name, value in self._observations(trial):
                observed[name].append(value)
        for name, values in observed.items():
            self.legs[name].add(values)

    def _observations(self, trial: Trial) -> Iterable[tuple[str, float | None]]:
        if trial.seconds_per_token is not None:
            ours, theirs = trial.seconds_per_token
            yield "speed", 1.0 if ours <= self.rules.latency_ratio * theirs else -1.0
            return
        yield "overall", trial.difference
        yield _leg_of(trial.group), trial.difference
        if "day 0" in self.legs:
            yield "day 0", trial.difference_to_day_zero
            if trial.incumbent and trial.day_zero:
                yield "forgetting", difference(trial.candidate, True)
        if trial.harmless:
            yield "over-refusal", trial.difference

    def decide(self) -> Outcome:
        """What the legs come to so far; a missed must-pass task is a fail."""
        outcomes = {name: leg.decide() for name, leg in self.legs.items()}
        if self.missed or "fail" in outcomes.values():
            return "fail"
        needed = [outcomes[name] for name, leg in self.legs.items() if leg.needed]
        return "pass" if all(outcome == "pass" for outcome in needed) else "inconclusive"

    @property
    def missed(self) -> list[str]:
        """The must-pass tasks that the candidate got wrong, or did not answer."""
        return [trial.id for trial in self.trials if trial.must_pass and not trial.satisfied and not trial.not_run]

    def conclude(self) -> tuple[dict[str, Any], Outcome, str]:
        """The fields of the verdict, its outcome, and the reason in words."""
        outcome = self.decide()
        categories = {name: self._category(name) for name in CATEGORIES if self._has_run(name) or self._wanted(name)}
        failing = [entry["reason"] for entry in categories.values() if entry["outcome"] == "fail"]
        if failing:
            outcome = "fail"
        verdict = {
            "checks": [leg.to_record() for leg in self.legs.values() if leg.pairs or leg.needed],
            "categories": categories,
            "suites": {suite: _shares(self._of_suite(suite)) for suite in ("holdout", "canary", "hidden", "lm-eval")},
            "must_pass_missed": self.missed,
        }
        return verdict, outcome, self._reason(outcome, failing)

    def _of_suite(self, suite: str) -> list[Trial]:
        return [trial for trial in self.trials if trial.suite == suite]

    def _of(self, category: str) -> list[Trial]:
        return [trial for trial in self.trials if trial.category == category]

    def _has_run(self, category: str) -> bool:
        return bool(self._of(category))

    def _wanted(self, category: str) -> bool:
        return category in self.rules.required

    def _category(self, name: str) -> dict[str, Any]:
        """A category's score; it fails when it could not run, and when it is under its threshold and its incumbent."""
        trials = self._of(name)
        if name == "performance":
            return self._performance(trials)
        usable = [trial for trial in trials if trial.difference is not None]
        entry = {**_shares(trials), "threshold": self.rules.thresholds.get(name, 0.0)}
        stopped = [trial.not_run for trial in trials if trial.not_run]
        if stopped:
            why = f"{len(stopped)} of {len(trials)} checks: {stopped[0]}"
            return {**entry, "outcome": "fail", "reason": f"category {name} could not run: {why}"}
        if 2 * len(usable) <= len(trials):
            why = "no task of it" if not trials else f"{len(trials) - len(usable)} of {len(trials)} tasks had no result"
            return {**entry, "outcome": "fail", "reason": f"category {name} could not run: {why}"}
        ours, theirs = entry["candidate"]["success"], entry["incumbent"]["success"]
        if ours < entry["threshold"] and ours < theirs:
            limits = f"under {entry['threshold']:.0%} and the incumbent's {theirs:.0%}"
            reason = f"category {name}: {ours:.0%} of {len(usable)}, {limits}"
            return {**entry, "outcome": "fail", "reason": reason}
        return {**entry, "outcome": "pass", "reason": ""}

    def _performance(self, trials: Sequence[Trial]) -> dict[str, Any]:
        measured = [trial.seconds_per_token for trial in trials if trial.seconds_per_token is not None]
        entry: dict[str, Any] = {"n": len(measured), "threshold": self.rules.latency_ratio}
        if not measured:
            return {**entry, "outcome": "fail", "reason": "category performance could not run: nothing was measured"}
        ours, theirs = (sorted(side)[len(measured) // 2] for side in zip(*measured, strict=True))
        ratio = ours / theirs
        failed = self.legs["speed"].outcome == "fail"
        reason = f"category performance: {ratio:.1f} × the incumbent's time for a token" if failed else ""
        sides = {
            side: {"seconds_per_token": value, "tokens_per_second": 1 / value}
            for side, value in (("candidate", ours), ("incumbent", theirs))
        }
        return {**entry, **sides, "ratio": ratio, "outcome": "fail" if failed else "pass", "reason": reason}

    def _reason(self, outcome: Outcome, failing: list[str]) -> str:
        overall = self.legs["overall"]
        low, high = overall.to_record()["interval"]
        counts = f"{overall.wins} won, {overall.losses} lost of {overall.pairs}"
        if self.missed:
            return f"must_pass tasks missed: {', '.join(self.missed)}"
        others = ("overall", "speed")
        worse = [_words(leg) for name, leg in self.legs.items() if leg.outcome == "fail" and name not in others]
        if overall.outcome == "fail":
            difference = f"difference {overall.mean:+.1%} [{low:+.1%}, {high:+.1%}]"
            return "; ".join([f"worse than the incumbent: {counts}, {difference}", *worse])
        if worse or failing:
            return "; ".join([*worse, *failing])
        if outcome == "pass":
            return f"{counts}, difference {overall.mean:+.1%} [{low:+.1%}, {high:+.1%}]"
        waiting = ", ".join(name for name, leg in self.legs.items() if leg.needed and leg.outcome != "pass")
        return f"{counts}: too little evidence either way [{low:+.1%}, {high:+.1%}] ({waiting})"


def _leg_of(group: str) -> str:
    """A group's leg; no user's name for a group can be that of another leg."""
    return f"group {group}"


def _words(leg: Leg) -> str:
    against = "day 0" if leg.name in ("day 0", "forgetting") else "the incumbent"
    return f"worse than {against} on {leg.name}: {leg.wins} won, {leg.losses} lost of {leg.pairs}"


def _shares(trials: Sequence[Trial]) -> dict[str, Any]:
    """Success of both sides with Wilson's interval, where both answered; a tie before judges is half a success."""
    differences = [(trial, trial.difference) for trial in trials if trial.difference is not None]
    total = len(differences)
    judged = [value for trial, value in differences if trial.category == "quality"]
    sides = {
        "candidate": sum(bool(trial.candidate) for trial, _ in differences) + sum((1 + value) / 2 for value in judged),
        "incumbent": sum(bool(trial.incumbent) for trial, _ in differences) + sum((1 - value) / 2 for value in judged),
    }
    return {
        "n": total,
        **{
            side: {
                "passed": passed,
                "success": passed / total if total else None,
                "interval": list(proportion_interval(round(passed), total)),
            }
            for side, passed in sides.items()
        },
    }
