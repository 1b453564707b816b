"""A teacher that is another model: whichever provider answers."""

from pipeline.backends.providers.choice import fallback
from pipeline.backends.providers.interface import Options
from pipeline.backends.providers.registry import known
from pipeline.backends.teachers.interface import Draft
from pipeline.lib.config import Settings
from pipeline.lib.records import Interaction


class ProviderTeacher:
    """See `pipeline.backends.teachers.interface.Teacher`."""

    def __init__(self, settings: Settings) -> None:
        """Find out who answers.

        Raises:
            ProviderError: nobody.
        """
        self._asked = settings.harvest
        self._provider = fallback(settings, known(settings))
        self.name = self._provider.name

    def drafts(self, interaction: Interaction, count: int, first: int) -> list[Draft]:
        """One call for each: not every server draws several at once."""
        seed = int(interaction.id[:8], 16) + first
        return [
            Draft(self._provider.ask(interaction.messages, self._options(seed + number))) for number in range(count)
        ]

    def _options(self, seed: int) -> Options:
        return Options(self._asked.temperature, self._asked.top_p, self._asked.max_tokens, seed)
