"""What people said about traces and what is inside them, for programs that keep scores apart from answers.

A score names an answer, or the trace that it is part of (or what that begins with): then it is about the last answer
of the trace, the one that people saw.
"""

from dataclasses import dataclass, field
from typing import Any

from pipeline.backends.sources import interactions, moments, persons
from pipeline.backends.sources.conversation import answer, parsed


@dataclass(frozen=True, slots=True)
class Score:
    """One score or piece of feedback: what it is about, and what it says."""

    id: str
    answer: str | None  # the id of what it is about
    trace: str | None
    name: str
    at: float | None
    value: Any = None
    comment: str | None = None
    correction: Any = None


@dataclass(slots=True)
class Scores:
    """All scores of an export, found by what they are about."""

    by_answer: dict[str, dict[str, Score]] = field(default_factory=dict)
    by_trace: dict[str, dict[str, Score]] = field(default_factory=dict)
    last: dict[str, tuple[float, str]] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)  # what a trace begins with, where that is no answer

    def add(self, score: Score) -> None:
        """Keep a score; one with its id that was there before is replaced."""
        table, key = (self.by_answer, score.answer) if score.answer else (self.by_trace, score.trace)
        table.setdefault(str(key), {})[score.id] = score

    def saw(self, trace: str | None, identity: str, at: float) -> None:
        """An answer of a trace: the latest one gets what was said about the whole."""
        if trace and (trace not in self.last or (at, identity) >= self.last[trace]):
            self.last[trace] = (at, identity)

    def about(self, identity: str, trace: str | None, said: str) -> interactions.Said | None:
        """The feedback on an answer: the last thumb, the last correction, all comments."""
        found = list(self.by_answer.get(identity, {}).values())
        if trace and self.last.get(trace, (0.0, identity))[1] == identity:
            found += list(self.by_trace.get(trace, {}).values())
            for begin in {trace, self.roots.get(trace, trace)} - {identity}:
                found += list(self.by_answer.get(begin, {}).values())
        found.sort(key=lambda score: score.at or 0.0)
        feedback: dict[str, Any] = {}
        comments: dict[str, None] = {}
        for score in found:
            thumb = persons.thumb(score.name, score.value)
            corrected = answer(parsed(score.correction)) if score.correction else None
            if not (thumb or corrected or score.comment):
                continue
            feedback |= {key: each for key, each in (("thumb", thumb), ("edited", corrected)) if each}
            feedback["at"] = moments.latest(feedback.get("at"), score.at)
            comments |= {str(score.comment): None} if score.comment else {}
        return interactions.said(said, **feedback, comment="; ".join(comments))
