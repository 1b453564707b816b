"""Slack, and what takes the same message: Mattermost, Rocket.Chat.

Slack shows the blocks; the others, and notifications, the text.
"""

import io
import logging
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, MarkdownTextObject, SectionBlock
from slack_sdk.webhook import WebhookClient, WebhookResponse

from pipeline.backends.notifiers import transport
from pipeline.backends.notifiers.interface import Message
from pipeline.backends.notifiers.wording import SLACK, fit

_HEADER, _TEXT, _FIELD, _FIELDS = 150, 3000, 2000, 10  # what Slack takes

# Slack's client logs the URL, the secret, whenever its logger is unset or fine.
_SILENT = logging.Logger("slack", logging.CRITICAL + 1)


class Slack:
    """See `pipeline.backends.notifiers.interface.Notifier`."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds

    def send(self, message: Message) -> None:
        """Deliver; 429, 5xx and lost connections are tried again, at most twice."""
        status = 0
        problem = ""
        try:
            client = _Client(self._url, self._seconds)
            status = client.send(**slack_body(message), unfurl_links=False, unfurl_media=False).status_code
        except Exception as error:
            problem = transport.in_words(error)
        if not 200 <= status < 300:
            raise transport.failure(problem or transport.status_in_words(status))


def slack_body(message: Message) -> dict[str, Any]:
    """`text` for notifications and for servers without blocks, and the blocks."""
    headline, text, step = (fit(part, _TEXT, SLACK) for part in (message.headline, message.text, message.next_step))
    facts = [
        f"*{fit(name, 100, SLACK)}*\n{fit(value, _FIELD - 200, SLACK) or '–'}" for name, value in message.facts.items()
    ]
    shown = facts[:_FIELDS]
    blocks: list[Block] = [HeaderBlock(text=fit(message.headline, _HEADER, SLACK))]
    if text:
        blocks.append(SectionBlock(text=MarkdownTextObject(text=text)))
    if shown:
        blocks.append(SectionBlock(fields=[MarkdownTextObject(text=fact) for fact in shown]))
    last = [line for line in (step, fit(message.link, _FIELD, SLACK)) if line]
    if last:
        blocks.append(ContextBlock(elements=[MarkdownTextObject(text=line) for line in last]))
    lines = [headline, text, *(fact.replace("\n", " ") for fact in shown), *last]
    return {"text": _whole(lines), "blocks": [block.to_dict() for block in blocks]}


def _whole(lines: list[str]) -> str:
    """As many of the lines as fit."""
    kept = ""
    for line in lines:
        if line and len(kept) + len(line) < _TEXT:
            kept += f"\n{line}" if kept else line
    return kept or lines[0]


class _Client(WebhookClient):
    """Slack's client on our own connection, which follows no redirect and reads no endless answer."""

    def __init__(self, url: str, seconds: float) -> None:
        tries = transport.TRIES - 1
        again = [_Patience(tries), _Lost(tries)]
        super().__init__(url, logger=_SILENT, retry_handlers=again)
        self._seconds = seconds

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        status, headers = transport.exchange(req, self._seconds)
        if not 200 <= status < 300:
            raise HTTPError("", status, "", headers, io.BytesIO())
        return WebhookResponse(url="", status_code=status, body="", headers=dict(headers.items()))


class _Lost(ConnectionErrorRetryHandler):
    """Tries again where another try may go better."""

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        return response is None and error is not None and transport.can_pass(error)


class _Patience(RateLimitErrorRetryHandler):
    """Waits as long as the receiver asks for, within reason; also when it is the server that is in trouble."""

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        return response is not None and (response.status_code == 429 or response.status_code >= 500)

    def prepare_for_next_attempt(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        headers = {name.title(): values[0] for name, values in (response.headers if response else {}).items()}
        time.sleep(transport.wait_for(headers, state.current_attempt))
        state.next_attempt_requested = True
        state.increment_current_attempt()
