"""A chat on its way through the gateway."""

import itertools
import os
import time
from dataclasses import dataclass, field
from typing import Any

from pipeline.gateway.openai_shapes import ChatRequest
from pipeline.lib.records import Message, content_id
from pipeline.retrieval.prompt import with_context

_admissions = itertools.count()


@dataclass(slots=True)
class Asked:
    """A request on its way through: what the log will need.

    `answer` is what has been streamed so far; `context` is text of documents that goes before the chat; `retrieved`
    counts the passages in it.
    """

    body: ChatRequest
    version: str
    purpose: str
    session: str | None
    payload: dict[str, Any]
    at: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)
    first_token_ms: float | None = None
    id: str = ""
    answer: str = ""
    context: str = ""
    retrieved: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The id must be known before the answer is (streams send it first): content, moment and admission number."""
        self.id = content_id("gateway", self.at, os.getpid(), next(_admissions), self.said)
        self.payload.pop("retrieval", None)  # ours; some engines refuse what they do not know

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request came in."""
        return (time.monotonic() - self.clock) * 1000

    @property
    def said(self) -> list[Message]:
        """The chat as it was sent: what is logged."""
        return [message.plain() for message in self.body.messages]

    @property
    def prompt(self) -> list[Message]:
        """The chat as the model reads it."""
        return with_context(self.said, self.context) if self.context else self.said

    @property
    def forwarded(self) -> dict[str, Any]:
        """The body for engines with a door of their own."""
        if not self.context or not self.payload.get("messages"):
            return self.payload
        return {**self.payload, "messages": with_context(self.payload["messages"], self.context)}
