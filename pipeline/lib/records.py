"""The records that pass between stages."""

import hashlib
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from pipeline.lib.signals import verdict

Message = dict[str, str]


class Record(BaseModel):
    """A line of one of our files; fields that a newer version added are kept out of the way, not refused."""

    model_config = ConfigDict(extra="ignore")


class Feedback(Record):
    """What somebody said about an answer, or what executing it showed. `at`: when, in seconds since 1970.

    `edited` is what a person wrote instead; `preferred` another answer of a model that a person kept instead.
    """

    at: float | None = None
    thumb: Literal[-1, 1] | None = None
    comment: str | None = Field(None, max_length=10_000)
    edited: str | None = Field(None, max_length=100_000)
    preferred: str | None = Field(None, max_length=100_000)
    success: bool | None = None
    error: str | None = Field(None, max_length=10_000)
    check: dict[str, Any] | None = None


class Interaction(Record):
    """One question and its answer. `at` is seconds since 1970 (UTC); `error_kind` is one of those in `signals`, or
    another word.
    """

    id: str
    source: str
    user: str | None = None
    session: str | None = None
    at: float
    messages: list[Message] = Field(min_length=1)
    answer: str
    model: str | None = None
    adapter: str | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    tokens: int | None = None
    confidence: float | None = None
    success: bool | None = None
    error: str | None = None
    error_kind: str | None = None
    feedback: Feedback | None = None
    retrieval: dict[str, int] = Field(default_factory=lambda: {"history": 0, "tools": 0})
    check: dict[str, Any] | None = None

    @property
    def question(self) -> str:
        """What the user said last."""
        return next((m["content"] for m in reversed(self.messages) if m["role"] == "user"), "")


class Evidence(Record):
    """How an answer is known to have failed; see `pipeline.lib.signals`."""

    signal: str
    weight: float
    agreeing: list[str]
    overruled: list[str]


class Failure(Interaction):
    """An interaction that went wrong."""

    verdict: Evidence

    @property
    def said_at(self) -> float:
        """When something was last said about it; zero: never."""
        return (self.feedback.at if self.feedback else None) or 0.0

    @property
    def news(self) -> tuple[float, float]:
        """Larger than before: there is something to know that was not known then."""
        return self.verdict.weight, self.said_at

    @property
    def error_text(self) -> str | None:
        """What its source, or whoever said that it is wrong, calls the error."""
        return self.error or (self.feedback.error if self.feedback else None)


class Rewrite(Record):
    """A better answer to something that failed."""

    instruction: str
    output: str
    reasoning: str
    quality_score: float
    interaction_id: str
    messages: list[Message]
    bad_output: str
    signal: str
    weight: float = 1.0
    said_at: float = float("inf")
    source: str | None = None
    user: str | None = None
    session: str | None = None
    teacher: str
    votes: dict[str, int]
    verified_by: str | None
    at: float
    check: dict[str, Any] | None = None


def failure_signal(interaction: Interaction) -> str | None:
    """The strongest sign that an answer failed; none: nothing says so, or something stronger says the opposite."""
    said = verdict(interaction.model_dump(include={"feedback", "success", "error", "error_kind", "confidence"}))
    return said.signal if said is not None and said.failed else None


def content_id(*parts: Any) -> str:
    """A short stable id for some content: 24 hexadecimal digits of its BLAKE2b hash."""
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()
