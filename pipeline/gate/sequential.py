"""The gate: is the candidate worse, surely not worse, or is it too early to say? Pure; may be asked after every pair.

Each pair is one question answered by both models: a win (only the candidate was right), a loss, or a tie. Questions
that are variants of each other form a cluster and count as one observation, their mean. Two games are played:

harm   evidence that the mean difference is below 0        → fail
kept   evidence that the mean difference is above -margin   → pass

Without enough evidence for either, the outcome is inconclusive, and the incumbent stays.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.gate.evidence import confidence_sequence, e_value, mirrored

Outcome = Literal["pass", "fail", "inconclusive"]


def difference(candidate: bool | None, incumbent: bool | None) -> float | None:
    """1 for a win, -1 for a loss, 0 for a tie; none when one side has no answer: such a pair says nothing."""
    return None if candidate is None or incumbent is None else float(candidate) - float(incumbent)


@dataclass(slots=True)
class Leg:
    """One comparison that the verdict stands on.

    `alpha` bounds the probability of a false fail, and of a false pass. A leg that is `needed` must pass for the
    candidate to pass; the others can only make it fail. Harm is a mean difference below `-tolerance`.
    """

    name: str
    alpha: float
    margin: float
    needed: bool = False
    tolerance: float = 0.0
    wins: int = 0
    losses: int = 0
    pairs: int = 0
    observations: Counter[float] = field(default_factory=Counter)
    outcome: Outcome = "inconclusive"

    def add(self, cluster: Sequence[float | None]) -> None:
        """Count the differences of one cluster (often a single one)."""
        known = [each for each in cluster if each is not None]
        if known:
            self.pairs += len(known)
            self.wins += sum(each > 0 for each in known)
            self.losses += sum(each < 0 for each in known)
            self.observations[sum(known) / len(known)] += 1

    def decide(self) -> Outcome:
        """What is known now. A fail is final; a pass is withdrawn only by a fail."""
        if self.harm >= 1 / self.alpha:
            self.outcome = "fail"
        elif self.outcome != "fail" and self.kept >= 1 / self.alpha:
            self.outcome = "pass"
        return self.outcome

    @property
    def harm(self) -> float:
        """The e-value of "the candidate is worse"."""
        return e_value(mirrored(self.observations), self.tolerance)

    @property
    def kept(self) -> float:
        """The e-value of "the candidate is not worse by the margin"."""
        return e_value(self.observations, -self.margin)

    @property
    def mean(self) -> float:
        """Mean difference over the clusters, candidate minus incumbent."""
        clusters = self.observations.total()
        return sum(value * count for value, count in self.observations.items()) / clusters if clusters else 0.0

    def to_record(self) -> dict[str, Any]:
        """The leg in a verdict."""
        return {
            "name": self.name,
            "n": self.pairs,
            "clusters": self.observations.total(),
            "wins": self.wins,
            "losses": self.losses,
            "value": self.mean,
            "threshold": -self.margin,
            "e_value": self.kept,
            "e_value_harm": self.harm,
            "needed_e_value": 1 / self.alpha,
            "interval": list(confidence_sequence(self.observations, self.alpha)),
            "needed": self.needed,
            "outcome": self.outcome,
        }


def combined(legs: Iterable[Leg]) -> Outcome:
    """What the legs come to together: one fail is a fail; a pass needs every needed leg, and at least one."""
    listed = list(legs)
    if any(leg.outcome == "fail" for leg in listed):
        return "fail"
    needed = [leg for leg in listed if leg.needed]
    return "pass" if needed and all(leg.outcome == "pass" for leg in needed) else "inconclusive"
