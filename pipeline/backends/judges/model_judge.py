"""A model as judge."""

from pipeline.backends.judges.interface import Preference
from pipeline.backends.judges.prompt import preference, question
from pipeline.backends.providers.interface import Options, Provider, ProviderError
from pipeline.lib.logs import logger
from pipeline.lib.records import Message

LONGEST = 1024  # tokens; a word will do, but some think first
OPTIONS = Options(max_tokens=LONGEST)


class ModelJudge:
    """See `pipeline.backends.judges.interface.Judge`."""

    def __init__(self, provider: Provider) -> None:
        self.name = provider.name
        self._provider = provider

    def prefers(self, messages: list[Message], first: str, second: str) -> Preference | None:
        """One question to the judge, at temperature 0; whatever goes wrong with it counts as not judged."""
        asked = question(messages, first, second)
        try:
            return preference(self._provider.ask(asked.messages, OPTIONS), asked.words)
        except ProviderError as error:
            logger.warning("%s", error)
            return None

    def close(self) -> None:
        """Close its connections."""
        self._provider.close()
