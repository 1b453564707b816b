"""Several models that draft: in turn, or the first that answers."""

from collections.abc import Mapping, Sequence

from pipeline.backends.providers.interface import ProviderError
from pipeline.backends.teachers.interface import Draft
from pipeline.backends.teachers.providers import ProviderTeacher
from pipeline.evolution.history import Strategy
from pipeline.lib.records import Interaction


class SeveralTeachers:
    """See `pipeline.backends.teachers.interface.Teacher`. One that fails leaves the work to the others."""

    def __init__(self, members: Sequence[ProviderTeacher], together: bool) -> None:
        """Ask each whether it is healthy.

        Args:
            members: in the order of the settings.
            together: draft number n is the n-th's, round and round, unless past nights know better; else always the
                first's that answers.

        Raises:
            ProviderError: nobody is healthy.
        """
        healthy = [each for each in members if each.healthy()]
        if not healthy:
            raise _nobody(members)
        self._members = list(members) if together else healthy
        self._together = together
        self.name = (" + " if together else " or ").join(each.name for each in self._members)

    def drafts(self, interaction: Interaction, count: int, first: int, how: Strategy) -> list[Draft]:
        """See Teacher. Who fails at this question is not asked for another draft of it."""
        failed: dict[ProviderTeacher, Draft] = {}
        drafted = []
        for number in range(first, first + count):
            author = self._author(number, failed, how.turns)
            draft = author.draft(interaction, number, how) if author else next(iter(failed.values()))
            if author and draft.lost:
                failed[author] = draft
            drafted.append(draft)
        return drafted

    def _author(
        self, number: int, failed: Mapping[ProviderTeacher, Draft], turns: Sequence[str]
    ) -> ProviderTeacher | None:
        """Whose turn it is; none: all that are not resting have failed at this question.

        Raises:
            ProviderError: all are resting.
        """
        awake = [each for each in self._members if not each.resting]
        if not awake:
            raise _nobody(self._members)
        able = [each for each in awake if each not in failed]
        if not able:
            return None
        if not self._together:
            return able[0]
        if not turns:
            turn = self._members[number % len(self._members)]
            return turn if turn in able else able[number % len(able)]
        # The same model may stand on several servers.
        named = [each for each in able if each.name == turns[number % len(turns)]] or able
        return named[number % len(named)]


def _nobody(members: Sequence[ProviderTeacher]) -> ProviderError:
    names = ", ".join(each.name for each in members)
    return ProviderError(f"no teacher answers: {names or 'none is set'}", "see [providers] and [harvest]")
