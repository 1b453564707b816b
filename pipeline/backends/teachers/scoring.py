"""How good drafts are: by executing them, by judges, or by the simple heuristic (`harvest.scorer`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.backends.teachers import council, heuristic, judging
from pipeline.backends.teachers.council import Decision
from pipeline.backends.teachers.interface import Draft
from pipeline.backends.teachers.judging import Bench
from pipeline.lib.config import Settings
from pipeline.lib.records import Failure


@dataclass(frozen=True, slots=True)
class Scorer:
    """What makes a decision out of drafts; can be used from many threads."""

    kind: str
    bench: Bench
    drafts: int  # for a failure that has no check

    @property
    def asks_judges(self) -> bool:
        """Whether judges have to agree with what executing shows."""
        return self.kind == "judged"

    def decide(self, failure: Failure, drafts: Sequence[Draft]) -> Decision:
        """Of a failure with a check by executing; else by judges or heuristic.

        Raises:
            BudgetSpentError: judges would cost more than is left.
        """
        if failure.check is not None:
            return council.decide(drafts, failure.check)
        if self.kind == "heuristic":
            return self._best(drafts)
        return judging.decide(failure, drafts, self.bench)

    def conclude(self, failure: Failure, decision: Decision) -> Decision:
        """The last word about a decision by execution: judges have to agree, or the heuristic gives the quality.

        Raises:
            BudgetSpentError: judges would cost more than is left.
        """
        if failure.check is None or decision.draft is None:
            return decision
        if self.asks_judges:
            return judging.confirmed(failure, decision, self.bench)
        if self.kind == "heuristic":
            return replace(decision, quality_score=heuristic.score(decision.draft))
        return decision

    def _best(self, drafts: Sequence[Draft]) -> Decision:
        scores = {each: heuristic.score(each) for each in judging.usable(drafts, self.bench.student)}
        votes, problems = {"drafts": len(drafts), "usable": len(scores)}, council.problems_of(drafts)
        waits = any(each.lost for each in drafts)
        if not scores:
            return Decision(None, 0.0, votes, "no usable draft", None, problems, waits)
        best = min(scores, key=lambda each: (-scores[each], len(each.answer), each.answer))
        return Decision(best, scores[best], votes, "scored by the heuristic", "heuristic", problems, waits)


def without_check(settings: Settings, version: str | None) -> bool:
    """Whether failures without a check get drafts: somebody else than the student drafts, and somebody scores."""
    asked = settings.harvest
    others = version is None and bool(asked.teachers or asked.teacher == "providers")
    scored = asked.scorer == "heuristic" or (asked.scorer != "verified" and bool(asked.judges))
    return others and scored
