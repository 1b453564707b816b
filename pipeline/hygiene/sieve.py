"""From everything that could be trained on to what may be: whatever goes has a reason.

In this order: what people revoked, what the exams ask or comes too close to it, near duplicates, more than one
person's share.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.hygiene.leaks import Protected
from pipeline.hygiene.near_duplicates import near_duplicates
from pipeline.hygiene.shares import Contribution, over_share
from pipeline.lib.exclusions import Exclusions
from pipeline.lib.questions import key
from pipeline.lib.records import Message

NEAR_DUPLICATE = "nearly the same question as another row"
OVER_SHARE = "more than one person's share"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that could be trained on. `record` is where it came from, for whoever asked."""

    interaction_id: str
    messages: list[Message]
    answer: str
    person: str | None
    weight: float
    record: Any


@dataclass(frozen=True, slots=True)
class Exam:
    """Questions that must not be trained on, and what to say about a row that is one of them or gives one away."""

    questions: list[list[Message]]
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What one person may contribute."""

    share: float
    most_rows: int | None
    count_tokens: Callable[[Sequence[str]], list[int]]


class Sieve:
    """Takes candidates out, and remembers why."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self.kept = list(candidates)
        self.dropped: list[tuple[Candidate, str]] = []

    def exclude(self, exclusions: Exclusions) -> None:
        """What somebody took back."""
        self._drop([exclusions.reason(each.interaction_id, each.person) for each in self.kept])

    def protect(self, exam: Exam) -> None:
        """The exam's questions, and what comes too close to one."""
        asked = {key({"messages": messages}) for messages in exam.questions}
        protected = Protected([said_by_people(messages) for messages in exam.questions])
        leaks = protected.leaks(said_by_people(each.messages) for each in self.kept)
        self._drop(
            [
                exam.reason
                if key({"messages": each.messages}) in asked
                else None
                if leak is None
                else f"too close to what {exam.reason}"
                for each, leak in zip(self.kept, leaks, strict=True)
            ]
        )

    def merge(self) -> None:
        """Near duplicates; of several the last one stays."""
        last_first = [said_by_people(each.messages) for each in reversed(self.kept)]
        repeated = {len(last_first) - 1 - index for index in near_duplicates(last_first)}
        self._drop([NEAR_DUPLICATE if index in repeated else None for index in range(len(self.kept))])

    def limit(self, limits: Limits) -> None:
        """What is more than one person's share."""
        lengths = limits.count_tokens([each.answer for each in self.kept])
        rows = [Contribution(each.person, tokens, each.weight) for each, tokens in zip(self.kept, lengths, strict=True)]
        over = over_share(rows, limits.share, limits.most_rows)
        self._drop([OVER_SHARE if index in over else None for index in range(len(self.kept))])

    def _drop(self, reasons: Sequence[str | None]) -> None:
        self.dropped += [(each, why) for each, why in zip(self.kept, reasons, strict=True) if why is not None]
        self.kept = [each for each, why in zip(self.kept, reasons, strict=True) if why is None]


def said_by_people(messages: Iterable[Message]) -> str:
    """What makes two conversations similar; a system prompt that all of them share does not."""
    return "\n".join(message["content"] for message in messages if message["role"] == "user")
