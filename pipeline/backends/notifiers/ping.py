"""Dead-man pings in the manner of healthchecks.io: who hears nothing for too long learns that the machine is off.

`<url>/start` at the beginning, `<url>` for a good end, `<url>/<exit code>` for a bad one. The URL is the secret.
"""

from urllib.parse import urlsplit, urlunsplit

import requests

from pipeline.backends.notifiers.interface import NotificationError

_TRIES = 2
_TIMEOUT = 5  # seconds: a dead receiver delays a night by ten


def send(url: str, sign: str = "") -> None:
    """Ping once, and once more if that did not arrive.

    Args:
        url: a query in it stays at its end.
        sign: `start`, an exit code, or nothing: all is well.

    Raises:
        NotificationError: it did not arrive; without the URL.
    """
    problem = ""
    for _ in range(_TRIES):
        try:
            response = requests.get(_signed(url, sign), timeout=_TIMEOUT)
        except (requests.RequestException, ValueError) as error:  # ValueError: what urllib says of some bad URLs
            # Without its text: that holds the URL.
            problem = type(error).__name__
        else:
            if response.ok:
                return
            problem = f"HTTP {response.status_code}"
    raise NotificationError(f"the ping did not arrive: {problem}", "check night.ping_url")


def _signed(url: str, sign: str) -> str:
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + (f"/{sign}" if sign else "")
    return urlunsplit(parts._replace(path=path))
