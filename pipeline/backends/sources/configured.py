"""The sources that the configuration names."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.backends.sources.choice import open_source
from pipeline.backends.sources.interface import Row, Source
from pipeline.backends.sources.own_log import OwnLog
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError
from pipeline.lib.problems import Problems


@dataclass(frozen=True, slots=True)
class _Absent:
    """A source that is not where it is said to be: says so when it is read, as any other that cannot be."""

    name: str
    error: UnavailableError

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        raise self.error


def configured(settings: Settings) -> list[Source]:
    """Our own log first, then the others in their order; nothing is read yet.

    Raises:
        ConfigurationError: no such kind of source.
    """
    named = [*settings.harvest.sources, *(f"openai-jsonl:{path}" for path in settings.harvest.openai_jsonl)]
    return [OwnLog(settings.layout.interactions), *(_opened(each, settings) for each in named)]


def _opened(specification: str, settings: Settings) -> Source:
    try:
        return open_source(specification, settings.home)
    except UnavailableError as error:
        return _Absent(specification, error)
