"""The served model, or another loaded version, as teacher: many samples, of which executing finds the right one."""

import threading
from typing import Any

from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.teachers.interface import Draft
from pipeline.evolution.history import Strategy
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
        """Samples; their seeds depend on the question, so a harvest can be repeated."""
        seed = int(interaction.id[:8], 16) + first
        said = self._ask(interaction.messages, n=count, temperature=how.temperature, top_p=how.top_p, seed=seed)
        return [Draft(answer) for answer in said]

    def answer(self, messages: list[Message]) -> str:
        """The likeliest answer.

        Raises:
            UnavailableError: the gateway does not answer.
        """
        return self._ask(messages, temperature=0)[0]

    def _ask(self, messages: list[Message], **options: Any) -> list[str]:
        answer = self.client.chat(messages, "teacher", self.version, max_tokens=self.max_tokens, **options)
        with self._guard:
            self.tokens += int(answer["usage"]["completion_tokens"])
        return [str(choice["message"]["content"]) for choice in answer["choices"]]
