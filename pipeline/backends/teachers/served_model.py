"""The served model, or another loaded version, as teacher: many samples, of which executing finds the right one."""

import threading
from typing import Any

from pipeline.backends.gateway_client import GatewayClient, RefusedChatError
from pipeline.backends.teachers.interface import Draft
from pipeline.evolution.history import Strategy
from pipeline.lib.logs import logger
from pipeline.lib.records import Interaction, Message


class ServedModel:
    """See `pipeline.backends.teachers.interface.Teacher`."""

    def __init__(self, client: GatewayClient, max_tokens: int, version: str | None = None) -> None:
        """Ask who is serving now; the drafts stay with that version even if another is activated meanwhile.

        Args:
            client: the gateway.
            max_tokens: the longest answer.
            version: one that is loaded; none: the one that serves.
        """
        self.client = client
        self.max_tokens = max_tokens
        self.tokens = 0  # generated for us
        self._guard = threading.Lock()
        health = client.health()
        self.version = version or str(health["adapter"])
        digest = health["loaded"][self.version] or health["base_sha256"]
        self.name = f"{health['model']}@{self.version}:{digest[:12]}"

    def drafts(self, interaction: Interaction, count: int, first: int, how: Strategy) -> list[Draft]:
        """Samples; their seeds depend on the question, so a harvest can be repeated.

        A question that the gateway refuses, it refuses every time: that is the problem of all its drafts.
        """
        seed = int(interaction.id[:8], 16) + first
        try:
            said = self._ask(interaction.messages, n=count, temperature=how.temperature, top_p=how.top_p, seed=seed)
        except RefusedChatError as error:
            logger.warning("no drafts for %s: %s", interaction.id, error)
            return [Draft("", problem=error.problem)] * count
        return [Draft(answer) for answer in said]

    def answer(self, messages: list[Message]) -> str | None:
        """The likeliest answer; none: the question is refused.

        Raises:
            UnavailableError: the gateway does not answer.
        """
        try:
            return self._ask(messages, temperature=0)[0]
        except RefusedChatError:
            return None

    def _ask(self, messages: list[Message], **options: Any) -> list[str]:
        answer = self.client.chat(messages, "teacher", self.version, max_tokens=self.max_tokens, **options)
        with self._guard:
            self.tokens += int(answer["usage"]["completion_tokens"])
        return [str(choice["message"]["content"]) for choice in answer["choices"]]
