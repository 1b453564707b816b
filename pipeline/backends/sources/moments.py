"""Points in time as foreign programs write them."""

import math
from datetime import UTC, datetime
from typing import Any

_LATEST_SECONDS = 1e11  # the year 5138; numbers above count smaller units
_UNITS = ((1e17, 1e9), (1e14, 1e6), (_LATEST_SECONDS, 1e3))


def seconds(value: Any) -> float:
    """Seconds since 1970 of an ISO date and time (UTC unless it says otherwise) or of a number.

    Numbers count seconds, milliseconds, microseconds or nanoseconds: their size tells which.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            return _number(float(text))
        except ValueError:
            return _iso(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"no time: {value!r:.40}")
    return _number(float(value))


def optional(value: Any) -> float | None:
    """Like `seconds`, and none for what is no time."""
    try:
        return seconds(value)
    except (ValueError, OverflowError):
        return None


def latest(*moments: float | None) -> float | None:
    """The last of those that are known."""
    return max((moment for moment in moments if moment is not None), default=None)


def milliseconds(begin: float | None, end: float | None) -> float | None:
    """How long it took; none if one is not known, or the clock went back."""
    return None if begin is None or end is None or end < begin else round((end - begin) * 1000, 3)


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"no time: {value}")
    return next((value / unit for limit, unit in _UNITS if abs(value) >= limit), value)


def _iso(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no time: {text!r:.40}") from error
