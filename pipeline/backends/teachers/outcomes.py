"""What becomes of decisions: lines in the day's rewrites, or among what nobody could fix."""

from pipeline.backends.teachers.council import Decision
from pipeline.lib import jsonl
from pipeline.lib.harvests import HarvestFiles
from pipeline.lib.records import Failure, Rewrite


def write_down(
    files: HarvestFiles, failure: Failure, decision: Decision, teacher: str, samples: int, threshold: float
) -> bool:
    """Write down what was decided about a failure: a rewrite, or why there is none.

    Args:
        files: the day's.
        failure: what failed.
        decision: what the council agreed on.
        teacher: who drafted.
        samples: how many drafts there might have been.
        threshold: the least quality of a rewrite.

    Returns: whether a rewrite goes on.

    Raises:
        DiskError: the disk is full or refuses.
    """
    evidence = {"signal": failure.verdict.signal, "weight": failure.verdict.weight, "said_at": failure.said_at}
    if decision.draft is None or decision.quality_score < threshold:
        reason = decision.reason if decision.draft is None else f"quality {decision.quality_score:.2f} < {threshold:g}"
        record = {
            "interaction_id": failure.id,
            "instruction": failure.question,
            "bad_output": failure.answer,
            **evidence,
            "reason": reason,
            "teacher": teacher,
            "samples": samples,
            "votes": decision.votes,
            "at": failure.at,
        }
        if decision.problems:
            record["problems"] = decision.problems
        if decision.waits:
            record["waits"] = True
        jsonl.append(files.unsolved, [record])
        return False
    rewrite = Rewrite(
        instruction=failure.question,
        output=decision.draft.answer,
        reasoning=decision.draft.reasoning,
        quality_score=decision.quality_score,
        interaction_id=failure.id,
        messages=failure.messages,
        bad_output=failure.answer,
        **evidence,
        source=failure.source,
        user=failure.user,
        session=failure.session,
        teacher="human" if decision.verified_by == "human" else decision.draft.teacher or teacher,
        votes=decision.votes,
        verified_by=decision.verified_by,
        at=failure.at,
        check=failure.check,
    )
    jsonl.append(files.rewrites, [rewrite.model_dump()])
    return True
