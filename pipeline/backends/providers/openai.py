"""A model behind any OpenAI-compatible server, our own gateway among them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from pipeline.backends.providers.addresses import require_url
from pipeline.backends.providers.interface import CONNECT_SECONDS, HEALTH_SECONDS, Answer, Options, ProviderError
from pipeline.backends.providers.patience import silent
from pipeline.lib.keys import key_of
from pipeline.lib.records import Message
from pipeline.lib.text import encodable

KEY = "NIGHTSCHOOL_PROVIDER_KEY"  # the environment variable that holds the server's API key, if it wants one
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 8.0  # seconds, at most; half of them on average
_LONGEST_WAIT = 60.0  # seconds that a server may ask us to wait
_PASSING = (408, 409, 429)  # and all from 500


class OpenAiProvider:
    """See `pipeline.backends.providers.interface.Provider`."""

    def __init__(
        self,
        url: str,
        model: str,
        timeout: float,
        attempts: int,
        kind: str = "openai",
        headers: Any = None,
        key_variable: str | None = KEY,
    ) -> None:
        """Open nothing yet.

        Args:
            url: where the server is, with or without /v1.
            model: one that the server has.
            timeout: longest silence of the server, in seconds.
            attempts: how often it is asked at most.
            kind: first part of the name.
            headers: sent with every request.
            key_variable: the environment variable that holds the server's API key, if it wants one.

        Raises:
            ValueError: the address is none; without a word of it, for it may hold a password.
            ConfigurationError: the key is none.
        """
        self.model = model
        self.name = f"{kind}/{model}"
        require_url(url)
        settings: dict[str, Any] = {
            "base_url": f"{url.rstrip('/').removesuffix('/v1')}/v1",
            "api_key": key_of(key_variable) or "none",
            "timeout": httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            "max_retries": 0,  # the client would also ask a silent server again, and each time may be billed
            "default_headers": headers,
        }
        self._client = openai.OpenAI(**settings)
        self._async_client = openai.AsyncOpenAI(**settings)
        self._trying: dict[str, Any] = {
            "stop": stop_after_attempt(attempts),
            "wait": _Pause(_FIRST_PAUSE, _LONGEST_PAUSE),
            "retry": retry_if_exception(_is_passing),
            "reraise": True,
        }

    def healthy(self) -> bool:
        """See Provider."""
        try:
            models = self._client.with_options(timeout=HEALTH_SECONDS).models.list()
            return self.model in {each.id for each in models.data}
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return False

    def ask(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        return self.answer(messages, options).text

    def answer(self, messages: list[Message], options: Options) -> Answer:
        """See CountingProvider."""
        with self._named():
            return _counted(self._create(**self._request(messages, options)))

    def stream(self, messages: list[Message], options: Options) -> Iterator[str]:
        """See Provider."""
        finished = False
        with self._named():
            for piece in self._create(**self._request(messages, options), stream=True):
                for choice in piece.choices[:1]:
                    finished = finished or choice.finish_reason is not None
                    yield encodable(choice.delta.content or "")
            _require(finished, "the stream was cut")

    async def ask_async(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        return (await self.answer_async(messages, options)).text

    async def answer_async(self, messages: list[Message], options: Options) -> Answer:
        """See CountingProvider."""
        with self._named():
            return _counted(await self._create_async(**self._request(messages, options)))

    async def stream_async(self, messages: list[Message], options: Options) -> AsyncIterator[str]:
        """See Provider."""
        finished = False
        with self._named():
            async for piece in await self._create_async(**self._request(messages, options), stream=True):
                for choice in piece.choices[:1]:
                    finished = finished or choice.finish_reason is not None
                    yield encodable(choice.delta.content or "")
            _require(finished, "the stream was cut")

    def close(self) -> None:
        """See Provider."""
        self._client.close()

    async def close_async(self) -> None:
        """See Provider."""
        await self._async_client.close()

    def _create(self, **asked: Any) -> Any:
        return Retrying(**self._trying)(self._client.chat.completions.create, **asked)

    async def _create_async(self, **asked: Any) -> Any:
        async def create() -> Any:  # the client's own is a plain function that returns a coroutine
            return await self._async_client.chat.completions.create(**asked)

        return await AsyncRetrying(**self._trying)(create)

    def _request(self, messages: list[Message], options: Options) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
        }
        return asked if options.seed is None else {**asked, "seed": options.seed}

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Whatever goes wrong names this provider."""
        try:
            yield
        except (openai.OpenAIError, httpx.HTTPError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise ProviderError(
                f"no answer from {self.name}: {error or type(error).__name__}",
                "is the server running, with that model?",
                silent(error),
            ) from error


class _Pause(wait_random_exponential):
    """As long as the server asks for, else longer each time."""

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = _asked_to_wait(error)
        return super().__call__(retry_state) if asked is None else asked


def _asked_to_wait(error: BaseException | None) -> float | None:
    """Seconds that the server wants to be left alone; none: it does not say."""
    if not isinstance(error, openai.APIStatusError):
        return None
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        return None


def _is_passing(error: BaseException) -> bool:
    """Whether the same call may do better in a moment. A silent server is not asked again: it is still at work."""
    if isinstance(error, openai.APIStatusError):
        passing = error.status_code in _PASSING or error.status_code >= 500
        return passing and (_asked_to_wait(error) or 0.0) <= _LONGEST_WAIT
    return isinstance(error, openai.APIConnectionError) and not silent(error)


def _counted(answer: Any) -> Answer:
    _require(bool(answer.choices), "the answer is no chat")
    choice, usage = answer.choices[0], answer.usage
    text, cut = encodable(choice.message.content or ""), choice.finish_reason == "length"
    return Answer(text, usage.prompt_tokens, usage.completion_tokens, cut) if usage else Answer(text, cut=cut)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
