"""Slack and Discord webhooks: one POST each, tried again when the receiver asks for it."""

import time
from typing import Any
from urllib.parse import urlsplit

import requests

from pipeline.backends.notifiers.interface import Message, NotificationError

_TRIES = 3
_LONGEST_WAIT = 5.0  # seconds; a night does not hang on a chat service


class Webhook:
    """See `pipeline.backends.notifiers.interface.Notifier`. The receiver's kind is told from the URL."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout

    def send(self, message: Message) -> None:
        """Deliver; 429 and 5xx are tried again, at most twice, after the wait that the receiver names."""
        body = discord_body(message) if _is_discord(self._url) else slack_body(message)
        problem = ""
        for attempt in range(_TRIES):
            try:
                response = requests.post(self._url, json=body, timeout=self._timeout)
            except (requests.RequestException, ValueError) as error:  # ValueError: what urllib3 says of some bad URLs
                # Without its text: that holds the URL.
                problem = type(error).__name__
            else:
                if response.ok:
                    return
                problem = f"HTTP {response.status_code}"
                if response.status_code != 429 and response.status_code < 500:
                    break
                if attempt + 1 < _TRIES:
                    time.sleep(_wait(response, attempt))
        raise NotificationError(f"the webhook did not take the message: {problem}", "check NOTIFICATION_WEBHOOK")


def slack_body(message: Message) -> dict[str, Any]:
    """Blocks for Slack; `text` is what a phone's notification shows."""
    mark = ":white_check_mark:" if message.good else ":rotating_light:"
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{mark} *{message.title}*\n{message.text}"[:3000]}}
    ]
    if message.facts:
        fields = [{"type": "mrkdwn", "text": f"*{name}*\n{value}"[:2000]} for name, value in message.facts.items()]
        blocks.append({"type": "section", "fields": fields[:10]})
    if message.next_step:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": message.next_step[:2000]}]})
    return {"text": f"{message.title}: {message.text}"[:3000], "blocks": blocks}


def discord_body(message: Message) -> dict[str, Any]:
    """An embed for Discord."""
    return {
        "content": message.title[:2000],
        "embeds": [
            {
                "description": message.text[:4000],
                "color": 0x2EB67D if message.good else 0xE01E5A,
                "fields": [
                    {"name": name[:256], "value": value[:1024] or "–", "inline": True}
                    for name, value in list(message.facts.items())[:25]
                ],
                "footer": {"text": message.next_step[:2048]},
            }
        ],
    }


def _is_discord(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (parts.hostname or "").endswith(("discord.com", "discordapp.com")) or parts.path.startswith("/api/webhooks/")


def _wait(response: requests.Response, attempt: int) -> float:
    try:
        asked = float(response.headers.get("Retry-After", 0.5 * 2**attempt))
        return max(0.0, min(_LONGEST_WAIT, asked))
    except ValueError:
        return 1.0
