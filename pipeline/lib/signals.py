"""What speaks for and against an answer, and which of it counts.

Several things may speak about one answer, and they may disagree: somebody liked a program that fails when it is
executed. The strongest speaks; what it overrules is written down beside it.

    edited           1.0   a person wrote a better answer
    check            0.95  the answer was executed: passed or failed
    preferred        0.9   a person kept another answer instead
    thumb            0.8   a person clicked: up or down
    error            0.6   the request failed
    regenerated      0.5   a person asked again
    failed           0.4   the program that recorded it says so
    low_confidence   0.3   the model itself was not sure

An error that says nothing about the model (`NOT_THE_MODELS`) is none, and neither is that somebody asked again after
it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

WEIGHTS = {
    "edited": 1.0,
    "check_failed": 0.95,
    "check_passed": 0.95,
    "preferred": 0.9,
    "thumbs_down": 0.8,
    "thumbs_up": 0.8,
    "error": 0.6,
    "regenerated": 0.5,
    "failed": 0.4,
    "low_confidence": 0.3,
}
# The kinds of an error. The client sent what no model could answer, ended the stream, or came when too many waited.
INVALID_REQUEST, CLIENT_GONE, OVERLOADED = "invalid_request_error", "client_gone", "overloaded_error"
NOT_THE_MODELS = (INVALID_REQUEST, CLIENT_GONE, OVERLOADED)

_GOOD = frozenset({"check_passed", "thumbs_up"})


class Verdict(NamedTuple):
    """What was decided about an answer: the strongest signal, those that agree, those that it overrules."""

    signal: str
    agreeing: tuple[str, ...]
    overruled: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether the answer was not good enough."""
        return self.signal not in _GOOD

    @property
    def weight(self) -> float:
        """How much the strongest signal is worth, up to 1."""
        return WEIGHTS[self.signal]


def verdict(row: Mapping[str, Any], regenerated: bool = False) -> Verdict | None:
    """Weigh what is known about an interaction (a row in the shape of `records.Interaction`); none: nothing speaks."""
    feedback = row.get("feedback")
    if not feedback and not regenerated and row.get("success") is not False and not row.get("error"):
        return None  # nearly all rows
    heard = _heard(row, feedback or {}, regenerated)
    if not heard:
        return None
    strongest = heard[0]
    good = strongest in _GOOD
    agreeing = tuple(each for each in heard[1:] if (each in _GOOD) == good)
    return Verdict(strongest, agreeing, tuple(each for each in heard[1:] if (each in _GOOD) != good))


def _heard(row: Mapping[str, Any], feedback: Mapping[str, Any], regenerated: bool) -> list[str]:
    """Every signal, the strongest first."""
    checked, thumb = feedback.get("success"), feedback.get("thumb")
    excused = row.get("error_kind") in NOT_THE_MODELS
    heard = [
        "edited" if feedback.get("edited") else None,
        None if checked is None else "check_passed" if checked else "check_failed",
        "preferred" if feedback.get("preferred") else None,
        None if thumb is None else "thumbs_up" if thumb > 0 else "thumbs_down",
        "error" if row.get("error") and not excused else None,
        "regenerated" if regenerated and not excused else None,
    ]
    if row.get("success") is False and checked is None and thumb is None:
        heard.append("failed" if row.get("confidence") is None else "low_confidence")
    return [each for each in heard if each]
