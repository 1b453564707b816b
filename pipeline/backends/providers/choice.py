"""Which provider answers: the first in the settings' order that is healthy, and when it fails the next."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from pipeline.backends.gateway_client import address
from pipeline.backends.providers.interface import Options, Provider, ProviderError
from pipeline.lib.config import Settings
from pipeline.lib.logs import logger
from pipeline.lib.records import Message

_REST = 60.0  # seconds for which one that failed is not asked again


def providers(settings: Settings) -> list[Provider]:
    """Those that the settings name a model for, in their order; nothing is asked yet."""
    made: list[Provider] = []
    for kind in settings.providers.order:
        found = _make(kind, settings)
        if found is not None:
            made.append(found)
    return made


def _make(kind: str, settings: Settings) -> Provider | None:
    asked = settings.providers
    if kind == "ollama" and asked.ollama_model:
        from pipeline.backends.providers.ollama import OllamaProvider

        return OllamaProvider(asked.ollama_url, asked.ollama_model, asked.timeout, asked.attempts)
    if kind == "openai" and asked.openai_url and asked.openai_model:
        from pipeline.backends.providers.openai import OpenAiProvider

        return OpenAiProvider(asked.openai_url, asked.openai_model, asked.timeout, asked.attempts)
    if kind == "embedded":
        from pipeline.backends.providers.openai import OpenAiProvider

        # The gateway has the embedded model; what Nightschool itself asks it is nobody's question to learn from.
        headers = {"x-nightschool-purpose": "provider"}
        url, name = address(settings), settings.model.name
        return OpenAiProvider(url, name, asked.timeout, asked.attempts, "embedded", headers)
    return None


class Fallback:
    """Several providers as one. See `pipeline.backends.providers.interface.Provider`."""

    def __init__(self, members: list[Provider]) -> None:
        """Ask each whether it is healthy.

        Raises:
            ProviderError: none is.
        """
        self.members = members
        self._failed = {each.name: time.monotonic() for each in members if not each.healthy()}
        self.name = " or ".join(each.name for each in members if each.name not in self._failed)
        if not self.name:
            raise _exhausted([each.name for each in members])

    def healthy(self) -> bool:
        """See Provider."""
        return any(each.healthy() for each in self.members)

    def ask(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        for each in self._in_order():
            with self._excused(each):
                return each.ask(messages, options)
        raise _exhausted(self._failed)

    def stream(self, messages: list[Message], options: Options) -> Iterator[str]:
        """See Provider. Another one takes over only before the first piece."""
        for each in self._in_order():
            with self._excused(each):
                pieces = each.stream(messages, options)
                first = next(pieces, "")
                break
        else:
            raise _exhausted(self._failed)
        yield first
        yield from pieces

    async def ask_async(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        for each in self._in_order():
            with self._excused(each):
                return await each.ask_async(messages, options)
        raise _exhausted(self._failed)

    async def stream_async(self, messages: list[Message], options: Options) -> AsyncIterator[str]:
        """See Provider. Another one takes over only before the first piece."""
        for each in self._in_order():
            with self._excused(each):
                pieces = each.stream_async(messages, options)
                first = await anext(pieces, "")
                break
        else:
            raise _exhausted(self._failed)
        yield first
        async for piece in pieces:
            yield piece

    def close(self) -> None:
        """See Provider."""
        for each in self.members:
            each.close()

    async def close_async(self) -> None:
        """See Provider."""
        for each in self.members:
            await each.close_async()

    def _in_order(self) -> list[Provider]:
        """As set, but those that failed just now come last."""
        now = time.monotonic()
        return sorted(self.members, key=lambda each: now - self._failed.get(each.name, -_REST) < _REST)

    @contextmanager
    def _excused(self, provider: Provider) -> Iterator[None]:
        """When this one fails the next is asked."""
        try:
            yield
        except ProviderError as error:
            logger.warning("%s", error)
            self._failed[provider.name] = time.monotonic()


def _exhausted(names: Iterable[str]) -> ProviderError:
    return ProviderError(
        f"no provider answers: {', '.join(names) or 'none is set'}", "see [providers] in nightschool.toml"
    )
