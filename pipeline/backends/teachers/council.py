"""The council: several drafts, one vote. Pure; whoever has the drafts calls it.

Where a check can accept or refuse, only accepted drafts have a voice. Acceptance can be a coincidence (a wrong program
may leave the right number), and coincidences differ from each other while right answers repeat: so the quality of an
accepted answer is 1 − ½ⁿ when n drafts wrote it word for word. Where executing only gives a result, drafts with the
same result vote together, and their share of all drafts is the quality.

Different teachers do not repeat each other's coincidences either: n teachers with an accepted draft count as much as n
drafts that are the same word for word.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.backends.checks.interface import Outcome, Specification
from pipeline.backends.checks.run import judge
from pipeline.backends.teachers.interface import Draft


@dataclass(frozen=True, slots=True)
class Decision:
    """What the council agreed on; without a draft, `reason` says why it could not.

    `problems` counts what was wrong with teachers and judges (`name: what`). `waits`: somebody who was to be heard was
    not, so another night decides it anew. `by`: for each teacher that signs its drafts how many there are, and how many
    of them the check has accepted.
    """

    draft: Draft | None
    quality_score: float
    votes: dict[str, int]
    reason: str
    verified_by: str | None = None
    problems: dict[str, int] = field(default_factory=dict)
    waits: bool = False
    by: dict[str, tuple[int, int]] = field(default_factory=dict)


def decide(drafts: Sequence[Draft], check: Specification) -> Decision:
    """Vote by execution.

    Among the drafts of the winning result the one written most often wins, then the shortest, then the first in
    alphabetical order; of equally frequent results the first in alphabetical order: so the vote does not depend on who
    answered first.
    """
    outcomes = [(draft, _outcome(draft, check)) for draft in drafts if not draft.lost]
    voices = [(draft, outcome) for draft, outcome in outcomes if outcome.passed is not False and outcome.result]
    votes = {"cast": len(outcomes), "valid": len(voices)}
    problems, by = problems_of(drafts), _accepted_of(outcomes)
    if not voices:
        reasons = Counter(outcome.error or "no result" for _, outcome in outcomes) or Counter(_lost(drafts))
        most = _most_frequent(reasons)[0] if reasons else "no drafts"
        return Decision(None, 0.0, votes, f"no draft passed its check; most often: {most}", problems=problems, by=by)
    result, agreeing = _most_frequent(Counter(str(outcome.result) for _, outcome in voices))
    written = Counter(draft.answer for draft, outcome in voices if outcome.result == result)
    best = min(written, key=lambda answer: (-written[answer], len(answer), answer))
    same = written[best]
    if _accepted(voices):
        quality = 1 - 0.5 ** max(same, len({draft.teacher for draft, _ in voices}))
        votes["accepted"] = len(voices)
        passed = f"{len(voices)} of {len(outcomes)} drafts passed the check by execution"
        reason = f"{passed}, {same} of them word for word this one"
    else:
        quality = agreeing / len(outcomes)
        reason = f"{agreeing} of {len(outcomes)} drafts came to the same result when executed"
    votes |= {"agreeing": agreeing, "same": same} | written_by(draft for draft, _ in voices)
    chosen = signed(best, (draft for draft, _ in voices if draft.answer == best), reason)
    return Decision(chosen, quality, votes, reason, str(check["type"]), problems, by=by)


def signed(answer: str, drafts: Iterable[Draft], reason: str) -> Draft:
    """The draft that several wrote, under all their names; their own reasons go before `reason`."""
    same = sorted(drafts, key=lambda draft: (draft.teacher, len(draft.reasoning), draft.reasoning))
    own = next((draft.reasoning for draft in same if draft.reasoning), reason)
    return Draft(answer, own, ", ".join(dict.fromkeys(draft.teacher for draft in same if draft.teacher)))


def written_by(drafts: Iterable[Draft]) -> dict[str, int]:
    """For each teacher that has a name, how many of the drafts are its own: {"by ollama/qwen3:8b": 2}."""
    return {f"by {name}": count for name, count in sorted(Counter(draft.teacher for draft in drafts).items()) if name}


def problems_of(drafts: Iterable[Draft]) -> dict[str, int]:
    """What was wrong with drafts, by teacher: {"ollama/qwen3:8b: no ANSWER": 2}; of one that has no name: only what."""
    named = (f"{draft.teacher}: {draft.problem}".removeprefix(": ") for draft in drafts if draft.problem)
    return dict(sorted(Counter(named).items()))


def _accepted_of(outcomes: Iterable[tuple[Draft, Outcome]]) -> dict[str, tuple[int, int]]:
    drafted, accepted = Counter[str](), Counter[str]()
    for draft, outcome in outcomes:
        drafted[draft.teacher] += 1
        accepted[draft.teacher] += outcome.passed is True
    return {name: (drafted[name], accepted[name]) for name in sorted(drafted) if name}


def _outcome(draft: Draft, check: Specification) -> Outcome:
    return Outcome(False, None, draft.problem) if draft.problem else judge(draft.answer, check)


def _lost(drafts: Iterable[Draft]) -> list[str]:
    return [draft.problem for draft in drafts if draft.lost]


def _most_frequent(counts: Counter[str]) -> tuple[str, int]:
    """The text counted most often; of several the first in alphabetical order, not the one that came first."""
    return min(counts.items(), key=lambda each: (-each[1], each[0]))


def _accepted(voices: Sequence[tuple[Draft, Outcome]]) -> bool:
    """Whether the check had something to compare with (then every voice left has passed it)."""
    return all(outcome.passed is True for _, outcome in voices)
