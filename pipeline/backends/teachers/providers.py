"""One model of the registry as teacher: its prompt, its replies, and what was wrong with them."""

import threading

from pipeline.backends.providers.choice import remembered
from pipeline.backends.providers.interface import CountingProvider, Options, ProviderError
from pipeline.backends.providers.ledger import Ledger
from pipeline.backends.providers.patience import Patience
from pipeline.backends.providers.registry import Model
from pipeline.backends.teachers import agent_zero
from pipeline.backends.teachers.interface import Draft
from pipeline.evolution.history import Strategy
from pipeline.lib.config import Settings
from pipeline.lib.records import Interaction


class ProviderTeacher:
    """Drafts one answer at a time; safe to use from many threads."""

    def __init__(self, model: Model, provider: CountingProvider, settings: Settings, ledger: Ledger) -> None:
        """Ask nothing yet.

        Args:
            model: its entry in the registry.
            provider: the same, to be asked.
            settings: prompt, options, how many calls at a time.
            ledger: pays and remembers.
        """
        self.name = provider.name
        self._model, self._provider, self._ledger = model, provider, ledger
        self._layout, self._asked = settings.layout, settings.harvest
        asked = settings.harvest
        self._plain = asked.prompt == "plain" or (asked.prompt == "auto" and model.kind == "embedded")
        self._turns = threading.BoundedSemaphore(asked.teacher_calls)
        self._patience = Patience()

    @property
    def resting(self) -> bool:
        """Whether it failed so often just now that it is not asked."""
        return self._patience.spent

    def healthy(self) -> bool:
        """Whether its server answers and has the model."""
        return self._provider.healthy()

    def draft(self, interaction: Interaction, number: int, how: Strategy) -> Draft:
        """Draft `number` for this failure; one that cannot be used says why.

        Raises:
            BudgetSpentError: it would cost more than is left.
        """
        messages = interaction.messages if self._plain else agent_zero.messages(interaction)
        longest = self._asked.max_tokens if self._plain else self._asked.teacher_tokens
        seed = int(interaction.id[:8], 16) + number
        options = Options(how.temperature, how.top_p, longest, seed)
        try:
            with self._turns:
                answer = self._ledger.answer(
                    self._model, messages, options, lambda: self._provider.answer(messages, options)
                )
        except ProviderError as error:
            remembered(self._layout, self._model.key, str(error))
            return Draft("", "", self.name, self._patience.failed(self.name, error), lost=True)
        if self._patience.answered():
            remembered(self._layout, self._model.key, None)
        cut = answer.cut or (answer.tokens_out is not None and answer.tokens_out >= longest)
        read = agent_zero.read_plain if self._plain else agent_zero.read
        said = read(answer.text, interaction, cut)
        return Draft(said.answer, said.reasoning, self.name, said.problem)

    def close(self) -> None:
        """Close its connections."""
        self._provider.close()
