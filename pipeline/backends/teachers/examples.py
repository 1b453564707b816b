"""Questions with answers that passed their own check: what the student can do already."""

import time

from pipeline.backends.checks import run as checks
from pipeline.backends.sources.configured import configured
from pipeline.backends.sources.interface import Row
from pipeline.hygiene.scrubbing import Scrubbing
from pipeline.lib import exclusions, harvests, questions
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems
from pipeline.lib.sampling import Sample
from pipeline.lib.signals import verdict

_DAYS = 7


def verified(settings: Settings, until: float, most: int) -> list[tuple[str, str]]:
    """A sample of the week's good answers, and the rewrites that passed; nobody's who is excluded, nothing held out.

    Args:
        settings: the sources, what is hidden, what is scrubbed.
        until: seconds since 1970.
        most: of each of the two.
    """
    excluded = exclusions.read(settings.layout)
    exam = {questions.key(row) for row in (*questions.read_holdout(settings), *questions.read_canary(settings))}
    good, rewritten = Sample[Row](most, settings.dataset.seed), Sample[Row](most, settings.dataset.seed)
    for source in configured(settings):
        try:
            for row in source.rows(until - _DAYS * 86400, until, Problems()):
                if (
                    _passed(row)
                    and not _held_out(row, settings, exam)
                    and not excluded.reason(row["id"], row.get("user"))
                ):
                    good.offer(row["id"], {"messages": row["messages"], "answer": row["answer"]})
        except NightschoolError as error:
            logger.info("no examples from %s: %s", source.name, error)
    for each in harvests.rewrites(settings.layout):
        if each.verified_by not in (None, "human") and not excluded.reason(each.interaction_id, each.user):
            rewritten.offer(each.interaction_id, {"messages": each.messages, "answer": each.output})
    rows, _ = Scrubbing(settings.hygiene)([*good.items(), *rewritten.items()])
    return [(row["messages"][-1]["content"], row["answer"]) for row in rows]


def _passed(row: Row) -> bool:
    """Whether executing has shown that the answer is right, and nobody says otherwise."""
    said = verdict(row)
    feedback = row.get("feedback") or {}
    alone = len(row["messages"]) == 1
    return alone and said is not None and not said.failed and feedback.get("success") is True and bool(row.get("check"))


def _held_out(row: Row, settings: Settings, exam: set[str]) -> bool:
    share, group = settings.dataset.hidden_share, settings.dataset.hidden_by
    if questions.key(row) in exam:
        return True
    return questions.is_hidden(row, share, row["at"], time.time(), group) and checks.usable(row.get("check"))
