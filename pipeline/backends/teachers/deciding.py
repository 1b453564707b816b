"""Failures → decisions: a person's own words win; then the council, which draws only as many drafts as it takes."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

from pipeline.backends.checks import run as checks
from pipeline.backends.checks.interface import Specification
from pipeline.backends.providers.ledger import BudgetSpentError
from pipeline.backends.sandboxes import choice as sandbox
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.backends.teachers.choice import Seats, ledger_of, seated
from pipeline.backends.teachers.council import Decision, decide
from pipeline.backends.teachers.interface import Draft
from pipeline.evolution.history import Strategy
from pipeline.evolution.steering import Steering
from pipeline.lib.config import Settings
from pipeline.lib.records import Failure, Interaction

_FIRST_DRAFTS = 4  # many failures that can be solved are solved by these
_FEW_DRAFTS = 8  # for each failure, before any gets all of `harvest.samples`
_MORE_DRAFTS = 8  # at a time, while an accepted draft waits to be confirmed
_KEPT_QUALITY = 0.8  # of an answer that a person kept instead: better than the other, not necessarily right


def without_teacher(interaction: Interaction, scored: bool) -> Decision | None:
    """The decision, where it needs no teacher: what a person wrote or kept, or that nothing could be verified.

    Args:
        interaction: what failed.
        scored: whether drafts are scored where no check decides (`scoring.without_check`).
    """
    said, check = interaction.feedback, interaction.check
    if said and said.edited:
        return Decision(Draft(said.edited, "edited by a person"), 1.0, {}, "edited by a person", "human")
    if check is not None:
        try:
            checks.validate(check)
        except ValueError as error:
            return Decision(None, 0.0, {}, f"its check is unusable: {error}")
    if said and said.preferred:
        return _kept(said.preferred, check)
    if check is None and not scored:
        return Decision(None, 0.0, {}, "nothing to verify a better answer with: no check, no edited answer")
    return None


def obstacle(interaction: Interaction) -> SandboxError | None:
    """Why it has to wait for a machine that can run its check; none: it can be decided here."""
    said = interaction.feedback
    return None if said and said.edited else checks.obstacle(interaction.check)


def _kept(answer: str, check: Specification | None) -> Decision | None:
    """What a person kept instead, unless it fails when it is executed."""
    if check is None:
        return Decision(Draft(answer, "kept by a person"), _KEPT_QUALITY, {}, "kept by a person", "human")
    if checks.judge(answer, check).passed:
        return Decision(Draft(answer, "kept by a person"), 1.0, {}, "kept by a person", str(check["type"]))
    return None


@dataclass(frozen=True, slots=True)
class Council:
    """Decides failures with a teacher of its own, several at a time; can be sent to another machine."""

    settings: Settings
    version: str | None
    deadline: float  # seconds since 1970: none is begun later
    day: str
    batches: int  # that share the day's budget
    steering: Steering  # what past nights advise

    def __call__(self, failures: Sequence[Failure]) -> list[tuple[Failure, Decision]]:
        """Those that were begun in time, decided."""
        sandbox.use(self.settings.sandbox)
        ledger = ledger_of(self.settings, self.day, self.batches)
        with seated(self.settings, self.version, ledger) as seats:
            return list(decisions(failures, replace(seats, steering=self.steering), self.settings, self.deadline))


def decisions(
    failures: Iterable[Failure], seats: Seats, settings: Settings, deadline: float
) -> Iterator[tuple[Failure, Decision]]:
    """Decide the failures, several at a time, and hand each out as soon as it is decided.

    Each gets a few drafts before any gets many: what is easy is solved first, however short the time. Nothing is begun
    after `deadline`, nor when the budget is spent; what had only its few drafts then is handed out unsolved. An error
    of the teacher ends it, after everything already paid for has been handed out.
    """
    fresh = ((failure, list[Draft]()) for failure in failures)
    numbers = count()
    again: list[tuple[float, int, tuple[Failure, list[Draft]]]] = []  # a heap: what promises most comes first
    running: dict[Future[tuple[Failure, list[Draft], Decision]], bool] = {}
    error: BaseException | None = None
    with ThreadPoolExecutor(settings.harvest.concurrency) as pool:
        while True:
            while error is None and len(running) < settings.harvest.concurrency and time.time() < deadline:
                work = next(fresh, None) or (heappop(again)[-1] if again else None)
                if work is None:
                    break
                running[pool.submit(_ask_council, *work, seats, settings)] = not work[1]
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                first = running.pop(future)
                if raised := future.exception():
                    error = raised
                    continue
                failure, drafts, decision = future.result()
                most = seats.strategy(failure).samples
                if failure.check and first and not _accepted(decision) and len(drafts) < most:
                    heappush(again, (-seats.promise(failure), next(numbers), (failure, drafts)))
                else:
                    yield failure, decision
    for _, _, (failure, drafts) in again:
        assert failure.check is not None
        decision = decide(drafts, failure.check)
        if decision.draft is None or not seats.scorer.asks_judges:
            yield failure, seats.scorer.conclude(failure, decision)
    if error is not None and not isinstance(error, BudgetSpentError):
        raise error


def _ask_council(
    failure: Failure, drafts: list[Draft], seats: Seats, settings: Settings
) -> tuple[Failure, list[Draft], Decision]:
    """Draw drafts until one is confirmed, or enough have been drawn: a few the first time, all the second.

    A draft that was accepted once may be a coincidence: it gets `harvest.confirm` more chances to be written again.
    Where no check can accept any, all drafts are drawn at once and scored.
    """
    how, threshold, check = seats.strategy(failure), settings.harvest.quality_threshold, failure.check
    if check is None:
        drafts = seats.teacher.drafts(failure, seats.scorer.drafts, 0, how)
        return failure, drafts, seats.scorer.decide(failure, drafts)
    most = how.samples if drafts else min(_FEW_DRAFTS, how.samples)
    step = how.samples if drafts else _FIRST_DRAFTS
    decision = decide(drafts, check)
    while not _settled(decision, threshold):
        accepted = _accepted(decision)
        limit = max(how.samples, settings.harvest.samples + settings.harvest.confirm) if accepted else most
        more = len(seats.together) or _MORE_DRAFTS  # one of each teacher, or some of the only one
        wanted = min(limit - len(drafts), more if accepted else step)
        if wanted <= 0:
            break
        asked = _confirming(how, decision, seats.together, len(drafts)) if accepted else how
        drafts = drafts + seats.teacher.drafts(failure, wanted, len(drafts), asked)
        decision = decide(drafts, check)
    return failure, drafts, seats.scorer.conclude(failure, decision)


def _confirming(how: Strategy, decision: Decision, together: Sequence[str], first: int) -> Strategy:
    """The turns of drafts that are to confirm an accepted one: those come first of whom none was accepted yet.

    Different teachers confirm each other whatever their words; one teacher only when it repeats itself.
    """
    order = sorted(together, key=lambda name: decision.by.get(name, (0, 0))[1] > 0)
    begin = -first % len(order) if order else 0  # draft number `first` is the first one's
    return replace(how, turns=(*order[begin:], *order[:begin]))


def _settled(decision: Decision, threshold: float) -> bool:
    """Whether more drafts could not change anything that matters: a check has accepted a good enough answer.

    A vote by mere agreement is never settled early: its quality is a share, and shares of four drafts say little.
    """
    return _accepted(decision) and decision.quality_score >= threshold


def _accepted(decision: Decision) -> bool:
    return decision.votes.get("accepted", 0) > 0
