"""Discord: one embed; nobody is pinged, whatever the words are."""

import json
from typing import Any

from pipeline.backends.notifiers.interface import Message, Severity
from pipeline.backends.notifiers.transport import post
from pipeline.backends.notifiers.wording import DISCORD, NO_PING, fit

# Discord takes 6000 characters in one embed, all fields together: these shares are less.
_CONTENT, _TEXT, _NAME, _FACT, _FACTS, _STEP = 1000, 1500, 60, 240, 10, 500

_COLOURS: dict[Severity, int] = {"good": 0x2EB67D, "info": 0x36C5F0, "warning": 0xECB22E, "bad": 0xE01E5A}


class Discord:
    """See `pipeline.backends.notifiers.interface.Notifier`."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds

    def send(self, message: Message) -> None:
        """Deliver; 429, 5xx and lost connections are tried again, at most twice."""
        headers = {"Content-Type": "application/json", "User-Agent": "nightschool"}
        post(self._url, json.dumps(discord_body(message)).encode(), headers, self._seconds)


def discord_body(message: Message) -> dict[str, Any]:
    """The headline as the notification, the rest as an embed."""
    fields = [
        {"name": fit(name, _NAME, DISCORD) or "–", "value": fit(value, _FACT, DISCORD) or "–", "inline": True}
        for name, value in list(message.facts.items())[:_FACTS]
    ]
    last = [fit(message.next_step, _STEP, NO_PING), fit(message.link, _STEP)]
    return {
        "content": fit(message.headline, _CONTENT, DISCORD),
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "description": "\n\n".join(line for line in (fit(message.text, _TEXT, DISCORD), *last) if line),
                "color": _COLOURS[message.severity],
                "fields": fields,
            }
        ],
    }
