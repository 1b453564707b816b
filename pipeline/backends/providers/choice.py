"""Which provider answers: the first in the settings' order that is healthy, and when it fails the next."""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from pipeline.backends.providers.facts import answered, failed
from pipeline.backends.providers.interface import Options, Provider, ProviderError
from pipeline.backends.providers.registry import Model, provider_of
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.records import Message
from pipeline.lib.text import without_logins

_REST = 60.0  # seconds for which one that failed is not asked again
UNHEALTHY = "no answer, or no such model there"
Remember = Callable[[Provider, str | None], None]


def fallback(settings: Settings, models: Collection[Model]) -> "Fallback":
    """A chain of models as one provider, which remembers on disk who answered and who failed.

    Raises:
        ProviderError: none of them is healthy.
    """
    members: dict[Provider, Model] = {provider_of(settings, each): each for each in models}

    def remember(provider: Provider, error: str | None) -> None:
        remembered(settings.layout, members[provider].key, error)

    return Fallback(list(members), remember)


class Fallback:
    """Several providers as one. See `pipeline.backends.providers.interface.Provider`."""

    def __init__(self, members: Sequence[Provider], remember: Remember | None = None) -> None:
        """Ask each whether it is healthy.

        Args:
            members: in the order in which they are to be asked.
            remember: told of each failure (what went wrong), and of the first answer, and the first after a failure
                (none).

        Raises:
            ProviderError: none is.
        """
        self.members = list(members)
        self._remember = remember
        self._failed: dict[Provider, float] = {}
        self._well: set[Provider] = set()  # those whose first answer, or first after a failure, was told
        for each in self.members:
            if not each.healthy():
                self._note(each, UNHEALTHY)
        self.name = " or ".join(each.name for each in self.members if each not in self._failed)
        if not self.name:
            raise _exhausted(self.members)

    def healthy(self) -> bool:
        """See Provider."""
        return any(each.healthy() for each in self.members)

    def ask(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        for each in self._in_order():
            with self._excused(each):
                return each.ask(messages, options)
        raise _exhausted(self.members)

    def stream(self, messages: list[Message], options: Options) -> Iterator[str]:
        """See Provider. Another one takes over only before the first piece."""
        for each in self._in_order():
            with self._excused(each):
                pieces = each.stream(messages, options)
                first = next(pieces, "")
                break
        else:
            raise _exhausted(self.members)
        yield first
        yield from pieces

    async def ask_async(self, messages: list[Message], options: Options) -> str:
        """See Provider."""
        for each in self._in_order():
            with self._excused(each):
                return await each.ask_async(messages, options)
        raise _exhausted(self.members)

    async def stream_async(self, messages: list[Message], options: Options) -> AsyncIterator[str]:
        """See Provider. Another one takes over only before the first piece."""
        for each in self._in_order():
            with self._excused(each):
                pieces = each.stream_async(messages, options)
                first = await anext(pieces, "")
                break
        else:
            raise _exhausted(self.members)
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
        return sorted(self.members, key=lambda each: now - self._failed.get(each, -_REST) < _REST)

    @contextmanager
    def _excused(self, provider: Provider) -> Iterator[None]:
        """When this one fails the next is asked."""
        try:
            yield
        except ProviderError as error:
            logger.warning("%s", without_logins(str(error)))
            self._note(provider, str(error))
        else:
            if self._remember and provider not in self._well:
                self._well.add(provider)
                self._remember(provider, None)

    def _note(self, provider: Provider, error: str) -> None:
        self._failed[provider] = time.monotonic()
        self._well.discard(provider)
        if self._remember:
            self._remember(provider, error)


def remembered(layout: Layout, key: str, error: str | None) -> None:
    """Write down whether a model answered; no answer is lost because that cannot be written."""
    try:
        if error is None:
            answered(layout, key)
        else:
            failed(layout, key, error)
    except (OSError, NightschoolError) as problem:
        logger.warning("%s", problem)


def _exhausted(members: Iterable[Provider]) -> ProviderError:
    names = ", ".join(each.name for each in members)
    return ProviderError(f"no provider answers: {names or 'none is set'}", "see [providers] in nightschool.toml")
