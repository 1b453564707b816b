"""The council: several drafts, one vote. Pure; whoever has the drafts calls it.

Where a check can accept or refuse, only accepted drafts have a voice. Acceptance can be a coincidence (a wrong program
may leave the right number), and coincidences differ from each other while right answers repeat: so the quality of an
accepted answer is 1 − ½ⁿ when n drafts wrote it word for word. Where executing only gives a result, drafts with the
same result vote together, and their share of all drafts is the quality.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.backends.checks.interface import Outcome, Specification
from pipeline.backends.checks.run import judge
from pipeline.backends.teachers.interface import Draft


@dataclass(frozen=True, slots=True)
class Decision:
    """What the council agreed on; without a draft, `reason` says why it could not."""

    draft: Draft | None
    quality_score: float
    votes: dict[str, int]
    reason: str
    verified_by: str | None = None


def decide(drafts: Sequence[Draft], check: Specification) -> Decision:
    """Vote by execution.

    Among the drafts of the winning result the one written most often wins, then the shortest, then the first in
    alphabetical order; of equally frequent results the first in alphabetical order: so the vote does not depend on who
    answered first.
    """
    outcomes = [(draft, judge(draft.answer, check)) for draft in drafts]
    voices = [(draft, outcome) for draft, outcome in outcomes if outcome.passed is not False and outcome.result]
    votes = {"cast": len(drafts), "valid": len(voices)}
    if not voices:
        reasons = Counter(outcome.error or "no result" for _, outcome in outcomes)
        most = _most_frequent(reasons)[0] if reasons else "no drafts"
        return Decision(None, 0.0, votes, f"no draft passed its check; most often: {most}")
    result, agreeing = _most_frequent(Counter(str(outcome.result) for _, outcome in voices))
    written = Counter(draft.answer for draft, outcome in voices if outcome.result == result)
    best = min(written, key=lambda answer: (-written[answer], len(answer), answer))
    same = written[best]
    if _accepted(voices):
        quality = 1 - 0.5**same
        votes["accepted"] = agreeing
        reason = (
            f"{agreeing} of {len(drafts)} drafts passed the check by execution, {same} of them word for word this one"
        )
    else:
        quality = agreeing / len(drafts)
        reason = f"{agreeing} of {len(drafts)} drafts came to the same result when executed"
    votes |= {"agreeing": agreeing, "same": same}
    return Decision(Draft(best, reason), quality, votes, reason, str(check["type"]))


def _most_frequent(counts: Counter[str]) -> tuple[str, int]:
    """The text counted most often; of several the first in alphabetical order, not the one that came first."""
    return min(counts.items(), key=lambda each: (-each[1], each[0]))


def _accepted(voices: Sequence[tuple[Draft, Outcome]]) -> bool:
    """Whether the check had something to compare with (then every voice left has passed it)."""
    return all(outcome.passed is True for _, outcome in voices)
