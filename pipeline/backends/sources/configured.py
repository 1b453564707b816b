"""The sources that the configuration names."""

from pathlib import Path

from pipeline.backends.sources.interface import Source
from pipeline.backends.sources.openai_jsonl import OpenAiJsonl
from pipeline.backends.sources.own_log import OwnLog
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError


def configured(settings: Settings) -> list[Source]:
    """Our own log first, then the others in their order.

    Raises:
        ConfigurationError: a setting names something that is not there.
    """
    sources: list[Source] = [OwnLog(settings.layout.interactions)]
    for pattern in settings.harvest.openai_jsonl:
        path = Path(pattern)
        matches = [path] if path.is_absolute() else sorted(settings.home.glob(pattern))
        missing = [each for each in matches if not each.is_file()]
        if missing or not matches:
            raise ConfigurationError(f"harvest.openai_jsonl: no file {pattern}", "correct the path in nightschool.toml")
        sources += [OpenAiJsonl(each) for each in matches]
    return sources
