"""A teacher drafts better answers."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.evolution.history import Strategy
from pipeline.lib.records import Interaction


@dataclass(frozen=True, slots=True)
class Draft:
    """One proposed answer, and why the teacher thinks so (may be empty).

    `teacher` is who wrote it, where several draft together. `problem` says why it cannot be used; `lost` that nobody
    answered at all, so that another night may bring what this one did not.
    """

    answer: str
    reasoning: str = ""
    teacher: str = ""
    problem: str = ""
    lost: bool = False


class Teacher(Protocol):
    """Something that answers again what was answered badly."""

    @property
    def name(self) -> str:
        """Model and version: drafts of the same teacher to the same question are not asked for twice."""

    def drafts(self, interaction: Interaction, count: int, first: int, how: Strategy) -> list[Draft]:
        """`count` drafts; `first` numbers them, so that another call gives other ones; `how` is how they are drawn.

        Raises:
            UnavailableError: the teacher's server does not answer.
            BudgetSpentError: a draft would cost more than is left.
        """
