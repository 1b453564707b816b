"""A provider: a model, here or elsewhere, that answers chats when Nightschool itself needs an answer."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol

from pipeline.lib.errors import UnavailableError
from pipeline.lib.records import Message

HEALTH_SECONDS = 5.0  # longest wait of `healthy`
CONNECT_SECONDS = 5.0


class ProviderError(UnavailableError):
    """It did not answer, or refused; another one may do better.

    `may_be_billed` says that it took the question and then was silent: it may have answered, at somebody's cost.
    """

    def __init__(self, message: str, hint: str = "", may_be_billed: bool = False) -> None:
        super().__init__(message, hint)
        self.may_be_billed = may_be_billed


@dataclass(frozen=True, slots=True)
class Options:
    """How to answer."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, and how many tokens it cost as the server counts them (none: it does not say).

    `cut`: the server says that it ended for its length.
    """

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    cut: bool = False


class Provider(Protocol):
    """Safe to use from many threads; the `_async` ones from one event loop.

    What is lost before its first piece has come is asked for again, each time after a longer pause; but not of a server
    that was silent for too long, which may still be at work on it. All of them raise ProviderError.
    """

    @property
    def name(self) -> str:
        """Kind and model, `ollama/qwen3:8b`."""

    def healthy(self) -> bool:
        """Whether it answers now, within seconds, and has the model; never raises."""

    def ask(self, messages: list[Message], options: Options) -> str:
        """The whole answer."""

    def stream(self, messages: list[Message], options: Options) -> Iterator[str]:
        """The answer in the pieces in which it comes."""

    async def ask_async(self, messages: list[Message], options: Options) -> str:
        """As `ask`."""

    def stream_async(self, messages: list[Message], options: Options) -> AsyncIterator[str]:
        """As `stream`."""

    def close(self) -> None:
        """Close the connections of `ask` and `stream`."""

    async def close_async(self) -> None:
        """Close those of the other two, in their event loop."""


class CountingProvider(Provider, Protocol):
    """One that also knows what an answer cost."""

    def answer(self, messages: list[Message], options: Options) -> Answer:
        """As `ask`."""

    async def answer_async(self, messages: list[Message], options: Options) -> Answer:
        """As `ask`."""
