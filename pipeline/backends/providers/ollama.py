"""A model of an Ollama server."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import ollama
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pipeline.backends.providers.addresses import require_url
from pipeline.backends.providers.interface import CONNECT_SECONDS, HEALTH_SECONDS, Answer, Options, ProviderError
from pipeline.backends.providers.patience import silent
from pipeline.lib.keys import key_of
from pipeline.lib.records import Message
from pipeline.lib.text import encodable

_CONNECTIONS = httpx.Limits(max_connections=64, max_keepalive_connections=16)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds
_PASSING = (429, 502, 503, 504)


class OllamaProvider:
    """See `pipeline.backends.providers.interface.Provider`."""

    def __init__(
        self,
        url: str | None,
        model: str,
        timeout: float,
        attempts: int,
        context: int | None = None,
        key_variable: str | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            url: where the server is; none: OLLAMA_HOST, or the usual port of this machine.
            model: one that the server has.
            timeout: longest silence of the server, in seconds.
            attempts: how often it is asked at most.
            context: tokens that question and answer may have together; none: what the server is set to.
            key_variable: the environment variable that holds the server's key, if it wants one.

        Raises:
            ValueError: the address is none; without a word of it, for it may hold a password.
            ConfigurationError: the key is none.
        """
        self.model = model
        self._context = context
        self.name = f"ollama/{model}"
        patience: dict[str, Any] = {
            "timeout": httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            "limits": _CONNECTIONS,
        }
        require_url(url or os.environ.get("OLLAMA_HOST", ""))
        key = key_of(key_variable)
        headers = {"authorization": f"Bearer {key}"} if key else None
        self._client = ollama.Client(host=url, headers=headers, **patience)
        self._async_client = ollama.AsyncClient(host=url, headers=headers, **patience)
        self._quick_client = ollama.Client(host=url, headers=headers, timeout=HEALTH_SECONDS)
        self._trying: dict[str, Any] = {
            "stop": stop_after_attempt(attempts),
            "wait": wait_random_exponential(_FIRST_PAUSE, _LONGEST_PAUSE),
            "retry": retry_if_exception(_is_passing),
            "reraise": True,
        }

    def healthy(self) -> bool:
        """See Provider."""
        try:
            self._quick_client.show(self.model)
        except (ollama.ResponseError, httpx.HTTPError, OSError, ValueError):
            return False
        return True

    def ask(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        return self.answer(messages, options).text

    def answer(self, messages: list[Message], options: Options) -> Answer:
        """See CountingProvider."""
        asked = self._request(messages, options)
        with self._named():
            return _counted(self._patience()(self._client.chat, **asked))

    def stream(self, messages: list[Message], options: Options) -> Iterator[str]:
        """See Provider."""
        asked = self._request(messages, options)

        def begin() -> tuple[ollama.ChatResponse, Iterator[ollama.ChatResponse]]:
            pieces = self._client.chat(**asked, stream=True)
            return _begun(next(pieces, None)), pieces

        with self._named():
            piece: ollama.ChatResponse
            piece, rest = self._patience()(begin)
            yield encodable(piece.message.content or "")
            for piece in rest:
                yield encodable(piece.message.content or "")
            _require_end(piece)

    async def ask_async(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        return (await self.answer_async(messages, options)).text

    async def answer_async(self, messages: list[Message], options: Options) -> Answer:
        """See CountingProvider."""
        asked = self._request(messages, options)
        with self._named():
            return _counted(await self._patience_async()(self._async_client.chat, **asked))

    async def stream_async(self, messages: list[Message], options: Options) -> AsyncIterator[str]:
        """See Provider."""
        asked = self._request(messages, options)

        async def begin() -> tuple[ollama.ChatResponse, AsyncIterator[ollama.ChatResponse]]:
            pieces = await self._async_client.chat(**asked, stream=True)
            return _begun(await anext(pieces, None)), pieces

        with self._named():
            piece: ollama.ChatResponse
            piece, rest = await self._patience_async()(begin)
            yield encodable(piece.message.content or "")
            async for piece in rest:
                yield encodable(piece.message.content or "")
            _require_end(piece)

    def close(self) -> None:
        """See Provider."""
        clients: list[Any] = [self._client, self._quick_client]  # their `close` has no types
        for each in clients:
            each.close()

    async def close_async(self) -> None:
        """See Provider."""
        client: Any = self._async_client
        await client.close()

    def _patience(self) -> Any:
        return Retrying(**self._trying)

    def _patience_async(self) -> Any:
        return AsyncRetrying(**self._trying)

    def _request(self, messages: list[Message], options: Options) -> dict[str, Any]:
        asked = {"temperature": options.temperature, "top_p": options.top_p, "num_predict": options.max_tokens}
        if options.seed is not None:
            asked["seed"] = options.seed
        if self._context is not None:
            asked["num_ctx"] = self._context  # the server cuts off silently what its own default has no room for
        return {"model": self.model, "messages": messages, "options": asked}

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Whatever goes wrong names this provider."""
        try:
            yield
        except (ollama.ResponseError, httpx.HTTPError, OSError, ValueError, TypeError, _LostError) as error:
            raise ProviderError(
                f"no answer from {self.name}: {error or type(error).__name__}",
                "is Ollama running, with that model?",
                silent(error),
            ) from error


class _LostError(Exception):
    """The server let go of a stream."""


def _counted(answer: ollama.ChatResponse) -> Answer:
    text, cut = encodable(answer.message.content or ""), answer.done_reason == "length"
    return Answer(text, answer.prompt_eval_count, answer.eval_count, cut)


def _begun(piece: ollama.ChatResponse | None) -> ollama.ChatResponse:
    if piece is None:
        raise _LostError("the stream ended before it began")
    return piece


def _require_end(piece: ollama.ChatResponse) -> None:
    """The last piece of a whole answer says that it is the last."""
    if not piece.done:
        raise _LostError("the stream was cut")


def _is_passing(error: BaseException) -> bool:
    """Whether the same call may do better in a moment. A silent server is not asked again: it is still at work."""
    if isinstance(error, ollama.ResponseError):
        # Ollama's runner drops a connection in about one of a thousand calls, which its server reports as EOF.
        return error.status_code in _PASSING or "EOF" in error.error
    return isinstance(error, _LostError | ConnectionError | httpx.NetworkError | httpx.RemoteProtocolError)
