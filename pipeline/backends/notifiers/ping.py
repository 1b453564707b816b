"""Dead-man pings in the manner of healthchecks.io: who hears nothing for too long learns that the machine is off.

`<url>/start` at the beginning, `<url>` for a good end, `<url>/<exit code>` for a bad one. The URL is the secret.
"""

from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request

from pipeline.backends.notifiers import transport
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
            status, _ = transport.exchange(Request(_signed(url, sign)), _TIMEOUT)
        except Exception as error:
            problem = transport.in_words(error)
        else:
            if 200 <= status < 300:
                return
            problem = transport.status_in_words(status)
    raise NotificationError(f"the ping did not arrive: {problem}", "check night.ping_url")


def _signed(url: str, sign: str) -> str:
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + (f"/{sign}" if sign else "")
    return urlunsplit(parts._replace(path=path))
