"""A teacher drafts better answers."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.lib.records import Interaction


@dataclass(frozen=True, slots=True)
class Draft:
    """One proposed answer, and why the teacher thinks so (may be empty)."""

    answer: str
    reasoning: str = ""


class Teacher(Protocol):
    """Something that answers again what was answered badly."""

    @property
    def name(self) -> str:
        """Model and version: drafts of the same teacher to the same question are not asked for twice."""

    def drafts(self, interaction: Interaction, count: int, first: int) -> list[Draft]:
        """`count` drafts; `first` numbers them, so that another call gives other ones.

        Raises:
            UnavailableError: the teacher's server does not answer.
        """
