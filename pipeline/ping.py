"""ping: tell the outside that a night begins, or how it ended; silence tells it that this machine is off.

sends  one GET request to night.ping_url; a receiver that is dead is a warning
"""

from typing import Any

from pipeline.backends.notifiers import ping as receiver
from pipeline.backends.notifiers.interface import NotificationError
from pipeline.lib.config import Settings
from pipeline.lib.errors import ExitCode, UsageError
from pipeline.lib.logs import logger

START = "start"
_HIGHEST = 255  # of exit codes
_QUIET = {ExitCode.DONE, ExitCode.NOTHING_TO_DO, ExitCode.REFUSED, ExitCode.INCONCLUSIVE}


def ping(settings: Settings, sign: str) -> dict[str, Any]:
    """Send it.

    Args:
        settings: `night.ping_url`; without one nothing is sent.
        sign: `start`, or the exit code of a night. One that was quiet counts as good: the machine is on, and did
            what it should. A rollback does not: people are alerted.

    Raises:
        UsageError: it is neither.
    """
    if sign != START and not (sign.isascii() and sign.isdecimal() and int(sign) <= _HIGHEST):
        raise UsageError(f"{sign!r} is neither `start` nor an exit code", "for example `nightschool ping 0`")
    if not settings.night.ping_url:
        return {"sent": False, "reason": "night.ping_url is not set"}
    try:
        receiver.send(settings.night.ping_url.get_secret_value(), "" if sign != START and int(sign) in _QUIET else sign)
    except NotificationError as error:
        logger.warning("%s", error)
        return {"sent": False, "reason": str(error)}
    return {"sent": True}
