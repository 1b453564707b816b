"""When the service looks again.

All of it is in seconds since the machine was started, sleep included: a laptop that wakes up after ten hours looks
once, and a clock that is set forward or back changes nothing.
"""

import random
import time
from datetime import timedelta

_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_DOUBLINGS = 30  # beyond, no pause is longer anyway
LONGEST_NAP = 15.0  # the system's timers stand still while it sleeps: look at the clock now and then


def uptime() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(_UPTIME)


def pause(errors: int, first: float, longest: float) -> float:
    """Seconds to wait after so many errors in a row.

    It doubles with each, up to `longest`, and is a quarter shorter or longer by chance: what failed for many at the
    same time shall not be asked by all of them at the same time again.
    """
    doubled = first * float(2 ** min(errors - 1, _DOUBLINGS))
    return min(longest, doubled) * random.uniform(0.75, 1.25)


def rest(trained: float | None, interval: float, now: float) -> float:
    """Seconds that a night still has to wait for, because something was trained a short time ago.

    Args:
        trained: when, in seconds since 1970; none: never. In the future: the clock was set back, nobody knows.
        interval: from one training to the next night.
        now: seconds since 1970.
    """
    return 0.0 if trained is None or trained > now else max(0.0, trained + interval - now)


def in_words(seconds: float) -> str:
    """Such as 0:30:00; for people."""
    return str(timedelta(seconds=round(seconds)))
