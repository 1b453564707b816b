"""One POST to a webhook, tried again when that can help. The URL is a secret: it is neither said nor logged.

`urllib.request` and not the usual clients: `urllib3` and `httpx` log every URL, and `requests` puts it into its errors.
"""

import http.client
import socket
import ssl
import time
import urllib.request
from collections.abc import Mapping
from email.message import Message as Headers
from urllib.error import URLError

from pipeline.backends.notifiers.interface import NotificationError

TRIES = 3
_LONGEST_WAIT = 5.0  # seconds; a night does not hang on a chat service

_WORDS: list[tuple[type[BaseException], str]] = [
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ssl.SSLError, "no encrypted connection"),
    (socket.gaierror, "no such host"),
    (ConnectionRefusedError, "nobody listens there"),
    (TimeoutError, "no answer in time"),
    (OSError, "no connection"),
    (http.client.InvalidURL, "not a URL"),
    (http.client.HTTPException, "it does not speak HTTP"),
    (ValueError, "not a URL"),
]


def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> None:
    """Deliver; 429, 5xx and lost connections are tried again, at most twice, after the wait that the receiver names.

    Raises:
        NotificationError: it was not taken.
    """
    problem = ""
    for attempt in range(TRIES):
        wait = wait_for({}, attempt)
        try:
            request = urllib.request.Request(url, body, dict(headers), method="POST")
            status, answered = exchange(request, seconds)
        except Exception as error:
            problem = in_words(error)
            if not can_pass(error):
                break
        else:
            if 200 <= status < 300:
                return
            problem = status_in_words(status)
            if status != 429 and status < 500:
                break
            wait = wait_for(answered, attempt)
        if attempt + 1 < TRIES:
            time.sleep(wait)
    raise failure(problem)


def exchange(request: urllib.request.Request, seconds: float) -> tuple[int, Headers]:
    """Send it once; the status and the headers of the answer, whatever they are. A redirect is an answer too.

    Raises:
        OSError, HTTPException, ValueError: there was no answer.
    """
    opener = urllib.request.OpenerDirector()  # the usual one follows redirects, also to another host
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
    ):
        opener.add_handler(handler)
    with opener.open(request, timeout=seconds) as answer:
        return answer.status, answer.headers


def wait_for(headers: Mapping[str, str] | Headers, attempt: int) -> float:
    """Seconds to wait after a try: what the receiver asks for, within reason."""
    try:
        asked = float(headers.get("Retry-After") or 0.5 * 2**attempt)
    except ValueError:
        return 1.0
    return max(0.0, min(_LONGEST_WAIT, asked))


def failure(problem: str) -> NotificationError:
    """What is said of a webhook that did not take the message."""
    return NotificationError(f"the webhook did not take the message: {problem}", "check NOTIFICATION_WEBHOOK")


def status_in_words(status: int) -> str:
    """HTTP 404, with a word on what people wonder about."""
    return f"HTTP {status}" + (", a redirect, which is not followed" if 300 <= status < 400 else "")


def in_words(error: BaseException) -> str:
    """What went wrong, without the text of the error: that may hold the URL."""
    cause = reason(error)
    return next((words for kind, words in _WORDS if isinstance(cause, kind)), type(cause).__name__)


def can_pass(error: BaseException) -> bool:
    """Whether another try may go better: a lost connection may, a bad certificate or a bad URL does not."""
    cause = reason(error)
    return isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError | URLError)


def reason(error: BaseException) -> BaseException:
    """What urllib has wrapped."""
    return error.reason if isinstance(error, URLError) and isinstance(error.reason, BaseException) else error
