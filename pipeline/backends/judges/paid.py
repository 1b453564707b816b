"""A judge from the registry: paid from the night's budget, and never asked the same twice."""

import threading
from dataclasses import replace

from pipeline.backends.judges.interface import Preference
from pipeline.backends.judges.model_judge import OPTIONS
from pipeline.backends.judges.prompt import preference, question
from pipeline.backends.providers.interface import Answer, CountingProvider, ProviderError
from pipeline.backends.providers.ledger import Ledger, counted
from pipeline.backends.providers.patience import Patience
from pipeline.backends.providers.registry import Model
from pipeline.lib.records import Message

_MEANINGS: dict[str, Preference] = {"first": "first", "second": "second", "tie": "tie"}


class PaidJudge:
    """See `pipeline.backends.judges.interface.Judge`."""

    def __init__(self, model: Model, provider: CountingProvider, calls: int, ledger: Ledger) -> None:
        """Ask nothing yet.

        Args:
            model: its entry in the registry.
            provider: the same, to be asked.
            calls: most at the same time.
            ledger: pays and remembers.
        """
        self.name = provider.name
        self._model, self._provider, self._ledger = model, provider, ledger
        self._turns = threading.BoundedSemaphore(calls)
        self._patience = Patience()

    def prefers(self, messages: list[Message], first: str, second: str) -> Preference | None:
        """See Judge. What is remembered is the verdict: the words for it differ each time.

        Raises:
            BudgetSpentError: it would cost more than is left.
        """
        asked = question(messages, first, second)

        def ask() -> Answer:
            # What is said is longer than what it means: it has to be counted before.
            answer = counted(self._provider.answer(asked.messages, OPTIONS), asked.messages)
            return replace(answer, text=preference(answer.text, asked.words) or "")

        if self._patience.spent:
            return None
        try:
            with self._turns:
                said = self._ledger.answer(self._model, asked.messages, OPTIONS, ask, "judged", messages, first, second)
        except ProviderError as error:
            self._patience.failed(self.name, error)
            return None
        self._patience.answered()
        return _MEANINGS.get(said.text)

    def close(self) -> None:
        """Close its connections."""
        self._provider.close()
