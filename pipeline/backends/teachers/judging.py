"""Where no check decides: drafts before judges, against the bad answer and against each other. Pure but for them.

A draft goes on when more than half of its judges prefer it to the bad answer. With n verdicts its quality is its share
of them (a tie is a half) × (1 − ½ⁿ⁺¹): one judge alone is believed less than three that agree. Of several such drafts
the one that wins most often against the others is taken. Nobody judges what it wrote itself, and neither does the
student.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol

from pipeline.backends.judges.interface import Judge, compare
from pipeline.backends.teachers.council import Decision, problems_of, signed, written_by
from pipeline.backends.teachers.interface import Draft
from pipeline.lib.records import Interaction, Message

_SHORT = 400  # characters; a bad answer may be a stub, and a better one is longer then


class NamedJudge(Judge, Protocol):
    """A judge that says which model it is."""

    name: str


@dataclass(frozen=True, slots=True)
class Bench:
    """The judges, and which models they may not be.

    `student` are names of the model that is taught; `longest` is how many times as long as the other an answer may be
    and win.
    """

    judges: Sequence[NamedJudge]
    student: Collection[str]
    longest: float

    def of(self, drafts: Collection[Draft]) -> list[NamedJudge]:
        """Those that may judge these drafts."""
        authors = [*self.student, *(name for draft in drafts for name in draft.teacher.split(", "))]
        return [each for each in self.judges if not any(same_model(each.name, author) for author in authors)]


@dataclass(frozen=True, slots=True)
class Trial:
    """A draft, and what its judges said of it against the bad answer: 1, 0 or -1, none where one said nothing."""

    draft: Draft
    verdicts: tuple[float | None, ...]

    @property
    def heard(self) -> list[float]:
        """Verdicts that there are."""
        return [each for each in self.verdicts if each is not None]

    @property
    def quality(self) -> float:
        """See the module."""
        heard = self.heard
        share = sum((1 + each) / 2 for each in heard) / max(1, len(heard))
        return share * (1 - 0.5 ** (len(heard) + 1))

    @property
    def won(self) -> bool:
        """Whether more than half of all its judges prefer it."""
        return 2 * self.heard.count(1.0) > len(self.verdicts)


def same_model(one: str, other: str) -> bool:
    """Whether two names (`ollama/qwen3:8b`, `Qwen/Qwen3-8B`) may well mean the same weights."""
    return _core(one) == _core(other)


def decide(interaction: Interaction, drafts: Sequence[Draft], bench: Bench) -> Decision:
    """The judges' decision about drafts for a failure without a check.

    Raises:
        BudgetSpentError: judging would cost more than is left.
    """
    candidates = usable(drafts, bench.student)
    problems = Counter(problems_of(drafts))
    trials = []
    for candidate in candidates:
        judges = bench.of([candidate])
        verdicts = [_against(each, interaction, candidate.answer, interaction.answer, bench) for each in judges]
        problems.update(
            f"{judge.name}: no verdict" for judge, said in zip(judges, verdicts, strict=True) if said is None
        )
        trials.append(Trial(candidate, tuple(verdicts)))
    waits = any(draft.lost for draft in drafts) or any(None in each.verdicts for each in trials)
    votes = {"drafts": len(drafts), "usable": len(trials)}
    winners = [each for each in trials if each.won]
    if not winners:
        best = max(trials, key=lambda each: (each.quality, len(each.heard)), default=None)
        return Decision(None, 0.0, votes | _counts(best), _refusal(best, drafts), None, dict(problems), waits)
    best = _favourite(interaction, winners, bench)
    votes |= _counts(best) | written_by(draft for draft in drafts if draft.answer == best.draft.answer)
    reason = f"{best.heard.count(1.0)} of {len(best.verdicts)} judges prefer it to the bad answer"
    chosen = Draft(best.draft.answer, best.draft.reasoning or reason, best.draft.teacher)
    return Decision(chosen, best.quality, votes, reason, "judges", dict(problems), waits)


def confirmed(interaction: Interaction, decision: Decision, bench: Bench) -> Decision:
    """A decision by execution that judges have to agree with: they prefer its draft to the bad answer, too.

    Raises:
        BudgetSpentError: judging would cost more than is left.
    """
    if decision.draft is None:
        return decision
    judged = decide(interaction, [decision.draft], bench)
    votes = decision.votes | {key: judged.votes[key] for key in ("judges", "won") if key in judged.votes}
    problems = dict(Counter(decision.problems) + Counter(judged.problems))
    if judged.draft is None:
        reason = f"checks and judges disagree: {judged.reason}"
        return Decision(None, 0.0, votes, reason, None, problems, judged.waits, decision.by)
    return replace(decision, quality_score=judged.quality_score, votes=votes, problems=problems)


def usable(drafts: Sequence[Draft], student: Collection[str]) -> list[Draft]:
    """Each different draft once, under the names of all who wrote it; none of the student's own."""
    theirs: dict[str, list[Draft]] = {}
    for draft in drafts:
        if not draft.problem and not any(same_model(draft.teacher, each) for each in student):
            theirs.setdefault(draft.answer, []).append(draft)
    return [signed(answer, same, "") for answer, same in sorted(theirs.items())]


def _against(judge: Judge, interaction: Interaction, ours: str, theirs: str, bench: Bench) -> float | None:
    conversation: list[Message] = interaction.messages
    return compare(judge, conversation, ours, theirs, bench.longest, _SHORT)


def _favourite(interaction: Interaction, trials: Sequence[Trial], bench: Bench) -> Trial:
    """Who wins most often against the others, then has the higher quality, then is shorter."""
    points = dict.fromkeys((each.draft.answer for each in trials), 0.0)
    for one, other in combinations(trials, 2):
        for judge in bench.of([one.draft, other.draft]):
            value = _against(judge, interaction, one.draft.answer, other.draft.answer, bench) or 0.0
            points[one.draft.answer] += value
            points[other.draft.answer] -= value
    return min(
        trials, key=lambda each: (-points[each.draft.answer], -each.quality, len(each.draft.answer), each.draft.answer)
    )


def _counts(trial: Trial | None) -> dict[str, int]:
    if trial is None:
        return {}
    said = [trial.heard.count(value) for value in (1.0, 0.0, -1.0)]
    return {"judges": len(trial.verdicts), "won": said[0], "tied": said[1], "lost": said[2]}


def _refusal(best: Trial | None, drafts: Sequence[Draft]) -> str:
    if best is None:
        reasons = Counter(draft.problem or "the student's own" for draft in drafts)
        return f"no usable draft; most often: {min(reasons, key=lambda each: (-reasons[each], each), default='none')}"
    if not best.verdicts:
        return f"no judge but the author of the draft ({best.draft.teacher})"
    heard = best.heard
    if not heard:
        return "no judge said anything of use"
    won, tied = heard.count(1.0), heard.count(0.0)
    if won:
        return f"judges disagree: {won} of {len(best.verdicts)} prefer the draft, {tied} see no difference"
    return "the judges see no difference" if tied * 2 >= len(heard) else "the judges prefer the bad answer"


def _core(name: str) -> str:
    """The part of a name that says which weights."""
    tail = name.casefold().removesuffix(":latest").rsplit("/", 1)[-1]
    return "".join(each for each in tail if each.isalnum())
