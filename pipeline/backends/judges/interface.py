"""A judge says which of two answers is better; where nothing can be executed, nobody knows better."""

from typing import Literal, Protocol

from pipeline.lib.records import Message

Preference = Literal["first", "second", "tie"]


class Judge(Protocol):
    """One judging model. It is neither the teacher nor the student."""

    def prefers(self, messages: list[Message], first: str, second: str) -> Preference | None:
        """Which answer is better in this order; none when nothing usable came back."""


def compare(
    judge: Judge, messages: list[Message], ours: str, theirs: str, longest: float, short: int = 1
) -> float | None:
    """The difference of two answers: 1 ours is better, -1 theirs, 0 a tie, none: it could not be judged.

    Judges like what stands first and what is longer. So both orders are asked, and only what wins in both has won; and
    an answer more than `longest` times as long as the other, or as `short` characters where the other is shorter than
    that, does not win.
    """
    if ours == theirs:
        return 0.0
    forward, backward = judge.prefers(messages, ours, theirs), judge.prefers(messages, theirs, ours)
    if forward is None or backward is None:
        return None
    if (forward, backward) == ("first", "second"):
        return 0.0 if len(ours) > longest * max(short, len(theirs)) else 1.0
    if (forward, backward) == ("second", "first"):
        return 0.0 if len(theirs) > longest * max(short, len(ours)) else -1.0
    return 0.0
