"""A chat on its way through an engine: what is asked, and what came of it."""

import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pipeline.lib.records import Message


@dataclass(slots=True)
class Request:
    """One answer to make. `version` is pinned when the request is admitted.

    `on_delta` is called from the engine's thread with each new piece of the answer's message. `payload` is the body as
    the client sent it: engines with a door of their own understand more of it than the fields here. What is not
    `urgent` (the night's own drafts) lets people go first.
    """

    messages: list[Message]
    version: str
    max_tokens: int
    temperature: float | None = None
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    on_delta: Callable[[dict[str, Any]], None] | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    urgent: bool = True
    future: "Future[Completion]" = field(default_factory=Future)


@dataclass(slots=True)
class Completion:
    """One answer: text, and per token its text, log-probability (nats) and the likeliest alternatives.

    The token that ended it is not among them. `message` holds what an answer has besides its text (tool calls).
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    tokens: list[str]
    logprobs: list[float]
    alternatives: list[list[tuple[str, float]]]
    version: str
    first_token_at: float | None  # seconds, time.monotonic(); none: nobody knows
    message: dict[str, Any] = field(default_factory=dict)

    @property
    def confidence(self) -> float | None:
        """Geometric mean of the tokens' probabilities; none where the engine told none."""
        return math.exp(sum(self.logprobs) / len(self.logprobs)) if self.logprobs else None
