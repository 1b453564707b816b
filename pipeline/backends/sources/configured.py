"""The sources that the configuration names."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.backends.sources.choice import open_source
from pipeline.backends.sources.interface import Row, Source
from pipeline.backends.sources.own_log import OwnLog
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError
from pipeline.lib.problems import Problems


@dataclass(frozen=True, slots=True)
class Configured:
    """A source under a name that no other has. `place` is `kind:path`, absolute: how far it was read is kept by it."""

    name: str
    place: str
    source: Source

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """See `pipeline.backends.sources.interface.Source`."""
        return self.source.rows(since, until, problems)


@dataclass(frozen=True, slots=True)
class _Absent:
    """A source that is not where it is said to be: says so when it is read, as any other that cannot be."""

    name: str
    error: UnavailableError

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        raise self.error


def configured(settings: Settings) -> list[Configured]:
    """Our own log first, then the others in their order; nothing is read yet.

    Each is called as it calls itself (`kind:file`), unless another one does so too: then both by their places.

    Raises:
        ConfigurationError: no such kind of source.
    """
    named = [*settings.harvest.sources, *(f"openai-jsonl:{path}" for path in settings.harvest.openai_jsonl)]
    opened: list[tuple[str, Source]] = [(OwnLog.name, OwnLog(settings.layout.interactions))]
    opened += [(_place(each, settings.home), _opened(each, settings)) for each in named]
    count = Counter(source.name for _, source in opened)
    return [Configured(place if count[source.name] > 1 else source.name, place, source) for place, source in opened]


def _place(specification: str, home: Path) -> str:
    kind, _, written = specification.partition(":")
    return f"{kind}:{(home / Path(written).expanduser()).absolute()}" if written else kind


def _opened(specification: str, settings: Settings) -> Source:
    try:
        return open_source(specification, settings.home)
    except UnavailableError as error:
        return _Absent(specification, error)
