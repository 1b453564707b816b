"""Which scores are the thumbs of people, where a program keeps people's and machines' scores side by side.

The rule: a score counts as a thumb when its name says so (`thumbs-up`, `user_feedback`, `like`, `rating` …). Of it
1, true, "good" and the like are up; 0, −1, false, "bad" and the like are down; a rating of 2 to 10 is read on its scale
of 5 (or 10, if it is above 5): the upper third is up, the lower third down, the middle says nothing. A 1 that is called
a rating or stars says nothing, for it may be the worst of five. For names that mean the opposite (`thumbs_down`,
`dislike`) it is turned around. Everything else says nothing.
"""

import re
from typing import Any

# Whole words only: "likelihood" is no like, "generating" no rating.
_NAMES = re.compile(
    r"(?<![a-z])(?:(user|human|customer|end[ _-]?user)[ _-]?(feedback|rating|score|satisfaction)s?"
    r"|thumbs?[ _-]?(up|down)?|(dis)?like[ds]?|ratings?|stars|feedback)(?![a-z])"
)
_NEW_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")  # userRating
_SCALED = re.compile(r"rating|stars?")
_AGAINST = re.compile(r"down(?![a-z])|dislike|negative")
_UP = {"up", "good", "like", "liked", "yes", "true", "positive", "correct", "helpful", "accept", "accepted", "pass"}
_UP |= {"thumbs up", "thumb up", "thumbs_up", "thumbs-up", "thumbsup", "👍", "great", "excellent"}
_DOWN = {"down", "bad", "dislike", "disliked", "no", "false", "negative", "incorrect", "wrong", "unhelpful", "reject"}
_DOWN |= {"rejected", "fail", "not helpful", "thumbs down", "thumb down", "thumbs_down", "thumbs-down", "thumbsdown"}
_DOWN |= {"👎", "poor", "terrible"}


def thumb(name: str, value: Any) -> int | None:
    """1 (up), −1 (down), or none when the score is not a person's thumb or says nothing."""
    lowered = _NEW_WORD.sub("_", name.strip()).lower()
    if not _NAMES.search(lowered):
        return None
    said = opinion(value)
    if said is None or (value == 1 and not isinstance(value, bool) and _SCALED.search(lowered)):
        return None
    against = _AGAINST.search(lowered) and "up" not in lowered
    return -said if against else said


def opinion(value: Any, top: float | None = None) -> int | None:
    """The same for a value alone.

    Args:
        value: a number, true or false, or a word.
        top: the best value of a rating's scale; none: see above.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        return 1 if word in _UP else -1 if word in _DOWN else None
    if not isinstance(value, int | float):
        return None
    if isinstance(value, bool) or (top is None and value in (0, 1, -1)):
        return 1 if value > 0 else -1
    return _rated(value, top or (5 if value <= 5 else 10)) if top or 1 < value <= 10 else None


def _rated(value: float, top: float) -> int | None:
    """A rating from 1 to `top`: the upper third is up, the lower third down."""
    share = (value - 1) / (top - 1)
    return 1 if share >= 2 / 3 else -1 if share <= 1 / 3 else None
