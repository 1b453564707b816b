"""Any receiver of your own: one JSON object (docs/notification.schema.json), signed if there is a secret."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from pipeline.backends.notifiers.interface import Message
from pipeline.backends.notifiers.transport import post
from pipeline.backends.notifiers.wording import fit

SCHEMA = 1
SIGNATURE = "X-Nightschool-Signature"
_LINE, _TEXT = 500, 4000


class Webhook:
    """See `pipeline.backends.notifiers.interface.Notifier`."""

    def __init__(self, url: str, seconds: float, secret: str = "") -> None:
        self._url = url
        self._seconds = seconds
        self._secret = secret

    def send(self, message: Message) -> None:
        """Deliver; 429, 5xx and lost connections are tried again, at most twice."""
        body = json.dumps(webhook_body(message)).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "nightschool"}
        if self._secret:
            headers[SIGNATURE] = signature(self._secret, body)
        post(self._url, body, headers, self._seconds)


def webhook_body(message: Message) -> dict[str, Any]:
    """Every field of the message; all texts are single lines."""
    return {
        "schema": SCHEMA,
        "event": message.event,
        "severity": message.severity,
        "title": fit(message.title, _LINE),
        "text": fit(message.text, _TEXT),
        "facts": {fit(name, _LINE): fit(value, _TEXT) for name, value in message.facts.items()},
        "next_step": fit(message.next_step, _TEXT),
        "run": message.run,
        "at": datetime.fromtimestamp(message.at, UTC).isoformat(timespec="seconds"),
        "link": fit(message.link, _TEXT),
    }


def signature(secret: str, body: bytes) -> str:
    """What a receiver computes of the bytes that it got, and compares in constant time."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
