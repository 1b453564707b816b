"""Failures → decisions: a person's own words win; then the council, which draws only as many drafts as it takes."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.backends.checks import run as checks
from pipeline.backends.checks.interface import Specification
from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.sandboxes import choice as sandbox
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.backends.teachers.council import Decision, decide
from pipeline.backends.teachers.interface import Draft, Teacher
from pipeline.backends.teachers.providers import ProviderTeacher
from pipeline.backends.teachers.served_model import ServedModel
from pipeline.lib.config import Settings
from pipeline.lib.records import Failure, Interaction

_FIRST_DRAFTS = 4  # many failures that can be solved are solved by these
_FEW_DRAFTS = 8  # for each failure, before any gets all of `harvest.samples`
_DRAIN_SECONDS = 30.0
_MORE_DRAFTS = 8  # at a time, while an accepted draft waits to be confirmed
_KEPT_QUALITY = 0.8  # of an answer that a person kept instead: better than the other, not necessarily right


@contextmanager
def teacher_of(settings: Settings, version: str | None) -> Iterator[Teacher]:
    """Who drafts; a generation that was loaded only for this is forgotten afterwards.

    Raises:
        UnavailableError: nobody answers.
    """
    asked = settings.harvest
    if asked.teacher == "providers" and version is None:
        yield ProviderTeacher(settings)
        return
    client = GatewayClient(settings, asked.timeout)
    extra = version is not None and version not in client.versions()
    if version is not None:
        client.load(version)
    try:
        yield ServedModel(client, asked.temperature, asked.top_p, asked.max_tokens, version)
    finally:
        if version is not None and extra and client.drain(version, _DRAIN_SECONDS):
            client.unload(version)


def without_teacher(interaction: Interaction) -> Decision | None:
    """The decision, where it needs no teacher: what a person wrote or kept, or that nothing could be verified."""
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
    if check is None:
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

    def __call__(self, failures: Sequence[Failure]) -> list[tuple[Failure, Decision]]:
        """Those that were begun in time, decided."""
        sandbox.use(self.settings.sandbox)
        with teacher_of(self.settings, self.version) as teacher:
            return list(decisions(failures, teacher, self.settings, self.deadline))


def decisions(
    failures: Iterable[Failure], teacher: Teacher, settings: Settings, deadline: float
) -> Iterator[tuple[Failure, Decision]]:
    """Decide the failures, several at a time, and hand each out as soon as it is decided.

    Each gets a few drafts before any gets many: what is easy is solved first, however short the time. Nothing is begun
    after `deadline`; what had only its few drafts then is handed out unsolved. An error of the teacher ends it, after
    everything already paid for has been handed out.
    """
    fresh = ((failure, list[Draft]()) for failure in failures)
    again: deque[tuple[Failure, list[Draft]]] = deque()
    running: dict[Future[tuple[Failure, list[Draft], Decision]], bool] = {}
    error: BaseException | None = None
    with ThreadPoolExecutor(settings.harvest.concurrency) as pool:
        while True:
            while error is None and len(running) < settings.harvest.concurrency and time.time() < deadline:
                work = next(fresh, None) or (again.popleft() if again else None)
                if work is None:
                    break
                running[pool.submit(_ask_council, *work, teacher, settings)] = not work[1]
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                first = running.pop(future)
                if raised := future.exception():
                    error = raised
                    continue
                failure, drafts, decision = future.result()
                if first and not _accepted(decision) and len(drafts) < settings.harvest.samples:
                    again.append((failure, drafts))
                else:
                    yield failure, decision
    for failure, drafts in again:
        assert failure.check is not None
        yield failure, decide(drafts, failure.check)
    if error is not None:
        raise error


def _ask_council(
    failure: Failure, drafts: list[Draft], teacher: Teacher, settings: Settings
) -> tuple[Failure, list[Draft], Decision]:
    """Draw drafts until one is confirmed, or enough have been drawn: a few the first time, all the second.

    A draft that was accepted once may be a coincidence: it gets `harvest.confirm` more chances to be written again.
    """
    samples, threshold, check = settings.harvest.samples, settings.harvest.quality_threshold, failure.check
    assert check is not None
    most = samples if drafts else min(_FEW_DRAFTS, samples)
    step = samples if drafts else _FIRST_DRAFTS
    decision = decide(drafts, check)
    while not _settled(decision, threshold):
        accepted = _accepted(decision)
        limit = samples + settings.harvest.confirm if accepted else most
        wanted = min(limit - len(drafts), _MORE_DRAFTS if accepted else step)
        if wanted <= 0:
            break
        drafts = drafts + teacher.drafts(failure, wanted, len(drafts))
        decision = decide(drafts, check)
    return failure, drafts, decision


def _settled(decision: Decision, threshold: float) -> bool:
    """Whether more drafts could not change anything that matters: a check has accepted a good enough answer.

    A vote by mere agreement is never settled early: its quality is a share, and shares of four drafts say little.
    """
    return _accepted(decision) and decision.quality_score >= threshold


def _accepted(decision: Decision) -> bool:
    return decision.votes.get("accepted", 0) > 0
