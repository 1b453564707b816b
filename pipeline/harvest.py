"""harvest: what failed, and better answers to it.

reads   the sources (our own interaction log, OpenAI-style JSONL)
writes  `training_data/harvest_YYYYMMDD.jsonl`           one rewrite a line
        `training_data/harvest_YYYYMMDD.unsolved.jsonl`  failures that nobody could fix, with the reason
        `training_data/harvest_YYYYMMDD.json`            counts and hashes, last: it makes the harvest complete

Each failure is written down as soon as it is decided. A harvest that is killed goes on behind the last decided one:
a failure is decided once for each teacher, and a better teacher (tomorrow's model) may try the unsolved ones again.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.checks.interface import Specification
from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.sources.interface import Source
from pipeline.backends.sources.openai_jsonl import OpenAiJsonl
from pipeline.backends.sources.own_log import OwnLog
from pipeline.backends.teachers.council import Decision, decide
from pipeline.backends.teachers.interface import Draft, Teacher
from pipeline.backends.teachers.providers import ProviderTeacher
from pipeline.backends.teachers.served_model import ServedModel
from pipeline.lib import harvests, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, NothingToDo
from pipeline.lib.files import sha256, write_json
from pipeline.lib.harvests import HarvestFiles
from pipeline.lib.records import Interaction, Rewrite, failure_signal

_FIRST_DRAFTS = 4  # many failures that can be solved are solved by these; only the others cost more
_DRAIN_SECONDS = 30.0
_MORE_DRAFTS = 8  # at a time, while an accepted draft waits to be confirmed


@dataclass(frozen=True, slots=True)
class Failure:
    """An interaction that went wrong, and how we know."""

    interaction: Interaction
    signal: str


def harvest(
    settings: Settings, since: float | None, until: float | None, dry_run: bool, version: str | None = None
) -> dict[str, Any]:
    """Find the failures of a window and have them answered again.

    Args:
        settings: where the sources are, how many samples, which quality.
        since: seconds since 1970; none: `harvest.hours` before `until`.
        until: seconds since 1970; none: now.
        dry_run: only find and count.
        version: the generation that drafts, served or not; none: the one that is served.

    Raises:
        NothingToDo: nothing failed, or everything has been decided already.
        UnavailableError: the teacher's server does not answer; what was decided is kept.
        BadRecordError: a log line cannot be read.
    """
    until = until or time.time()
    since = until - settings.harvest.hours * 3600 if since is None else since
    failures = list(find_failures(_sources(settings), since, until))
    if not failures:
        raise NothingToDo("no failures in the window", "more of the past: --since")
    if dry_run:
        signals = Counter(failure.signal for failure in failures)
        return {"dry_run": True, "failures": len(failures), "signals": dict(signals)}

    with _teacher(settings, version) as teacher:
        return _harvest(settings, teacher, failures, since, until)


def _harvest(
    settings: Settings, teacher: Teacher, failures: Sequence[Failure], since: float, until: float
) -> dict[str, Any]:
    """Have what was not decided yet answered again, newly failed ones first."""
    layout = settings.layout
    files = harvests.of_day(layout, datetime.fromtimestamp(until, UTC))
    decided = harvests.decided(layout, teacher.name)
    open_failures = [failure for failure in failures if failure.interaction.id not in decided]
    if not open_failures:
        raise NothingToDo(f"all {len(failures)} failures have been decided already")
    tried = harvests.tried(layout)
    open_failures.sort(key=lambda failure: failure.interaction.id in tried)
    worked_on = 0
    for failure, decision in _decisions(open_failures, teacher, settings):
        _write_down(files, failure, decision, teacher.name, settings.harvest.quality_threshold)
        worked_on += 1
    counts = {"worked_on": worked_on, "left": len(open_failures) - worked_on}
    signals = dict(Counter(failure.signal for failure in failures))
    manifest = _manifest(files, since, until, signals, teacher.name, counts)
    write_json(files.manifest, manifest)
    return {**manifest, "manifest": str(files.manifest.relative_to(settings.home))}


@contextmanager
def _teacher(settings: Settings, version: str | None) -> Iterator[Teacher]:
    """Who drafts; a generation that was loaded only for this is forgotten afterwards."""
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


def find_failures(sources: Sequence[Source], since: float, until: float) -> Iterator[Failure]:
    """Every interaction of the window that some signal says went wrong; each once, with its strongest signal."""
    seen: set[str] = set()
    for source in sources:
        asked_again: dict[tuple[str, str], Interaction] = {}
        for interaction in source.interactions(since, until):
            signal = failure_signal(interaction)
            if interaction.session:
                # The same question again in one session: the earlier answer was not wanted.
                key = (interaction.session, interaction.question)
                earlier = asked_again.get(key)
                if earlier and earlier.id not in seen and _regenerated(earlier, interaction):
                    seen.add(earlier.id)
                    yield Failure(earlier, "regenerated")
                asked_again[key] = interaction
            if signal and interaction.id not in seen:
                seen.add(interaction.id)
                yield Failure(interaction, signal)


def _regenerated(earlier: Interaction, later: Interaction) -> bool:
    """Whether the later one replaced an earlier answer that nobody had called good."""
    liked = earlier.feedback is not None and (earlier.feedback.thumb == 1 or earlier.feedback.success is True)
    return not liked and earlier.messages == later.messages and earlier.answer != later.answer


def _sources(settings: Settings) -> list[Source]:
    sources: list[Source] = [OwnLog(settings.layout.interactions)]
    for pattern in settings.harvest.openai_jsonl:
        path = Path(pattern)
        matches = [path] if path.is_absolute() else sorted(settings.home.glob(pattern))
        missing = [each for each in matches if not each.is_file()]
        if missing or not matches:
            raise ConfigurationError(f"harvest.openai_jsonl: no file {pattern}", "correct the path in nightschool.toml")
        sources += [OpenAiJsonl(each) for each in matches]
    return sources


def _decisions(failures: Sequence[Failure], teacher: Teacher, settings: Settings) -> Iterator[tuple[Failure, Decision]]:
    """Decide the failures, several at a time, and hand each out as soon as it is decided.

    None is begun after `harvest.minutes`. An error of the teacher ends it, after everything already paid for has been
    handed out.
    """
    deadline = time.monotonic() + 60 * settings.harvest.minutes
    todo = takewhile(lambda _: time.monotonic() < deadline, failures)
    running: dict[Future[Decision], Failure] = {}
    error: BaseException | None = None
    with ThreadPoolExecutor(settings.harvest.concurrency) as pool:
        while True:
            while error is None and len(running) < settings.harvest.concurrency and (failure := next(todo, None)):
                running[pool.submit(_decide, failure, teacher, settings)] = failure
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                failure = running.pop(future)
                if raised := future.exception():
                    error = raised
                else:
                    yield failure, future.result()
    if error is not None:
        raise error


def _decide(failure: Failure, teacher: Teacher, settings: Settings) -> Decision:
    """A person's own words win; then the council, which asks for more drafts only while none is accepted."""
    interaction = failure.interaction
    if interaction.feedback and interaction.feedback.edited:
        return Decision(
            Draft(interaction.feedback.edited, "edited by a person"), 1.0, {}, "edited by a person", "human"
        )
    check = interaction.check
    if check is None:
        return Decision(None, 0.0, {}, "nothing to verify a better answer with: no check, no edited answer")
    try:
        checks.validate(check)
    except ValueError as error:
        return Decision(None, 0.0, {}, f"its check is unusable: {error}")
    return _ask_council(interaction, check, teacher, settings)


def _ask_council(interaction: Interaction, check: Specification, teacher: Teacher, settings: Settings) -> Decision:
    """Draw drafts until one is confirmed, or enough have been drawn.

    A draft that was accepted once may be a coincidence: it gets `harvest.confirm` more chances to be written again.
    """
    limit, threshold = settings.harvest.samples, settings.harvest.quality_threshold
    drafts = teacher.drafts(interaction, min(_FIRST_DRAFTS, limit), 0)
    decision = decide(drafts, check)
    while not _settled(decision, threshold):
        if len(drafts) >= limit and _accepted(decision):
            limit = settings.harvest.samples + settings.harvest.confirm
        wanted = min(limit - len(drafts), _MORE_DRAFTS if len(drafts) >= settings.harvest.samples else limit)
        if wanted <= 0:
            break
        drafts += teacher.drafts(interaction, wanted, len(drafts))
        decision = decide(drafts, check)
    return decision


def _settled(decision: Decision, threshold: float) -> bool:
    """Whether more drafts could not change anything that matters: a check has accepted a good enough answer.

    A vote by mere agreement is never settled early: its quality is a share, and shares of four drafts say little.
    """
    return _accepted(decision) and decision.quality_score >= threshold


def _accepted(decision: Decision) -> bool:
    return decision.votes.get("accepted", 0) > 0


def _write_down(files: HarvestFiles, failure: Failure, decision: Decision, teacher: str, threshold: float) -> None:
    interaction = failure.interaction
    if decision.draft is None or decision.quality_score < threshold:
        reason = decision.reason if decision.draft is None else f"quality {decision.quality_score:.2f} < {threshold:g}"
        record = {
            "interaction_id": interaction.id,
            "instruction": interaction.question,
            "bad_output": interaction.answer,
            "signal": failure.signal,
            "reason": reason,
            "teacher": teacher,
            "votes": decision.votes,
            "at": interaction.at,
        }
        jsonl.append(files.unsolved, [record])
        return
    rewrite = Rewrite(
        instruction=interaction.question,
        output=decision.draft.answer,
        reasoning=decision.draft.reasoning,
        quality_score=decision.quality_score,
        interaction_id=interaction.id,
        messages=interaction.messages,
        bad_output=interaction.answer,
        signal=failure.signal,
        teacher="human" if decision.verified_by == "human" else teacher,
        votes=decision.votes,
        verified_by=decision.verified_by,
        at=interaction.at,
        check=interaction.check,
    )
    jsonl.append(files.rewrites, [rewrite.model_dump()])


def _manifest(
    files: HarvestFiles, since: float, until: float, signals: dict[str, int], teacher: str, counts: dict[str, int]
) -> dict[str, Any]:
    solved = {str(row["interaction_id"]) for row in jsonl.read(files.rewrites)}
    unsolved = {str(row["interaction_id"]) for row in jsonl.read(files.unsolved)} - solved
    return {
        "since": since,
        "until": until,
        "teacher": teacher,
        "failures": sum(signals.values()),
        "signals": signals,
        **counts,
        "rewrites": len(solved),
        "unsolved": len(unsolved),
        "sha256": sha256(files.rewrites) if solved else None,
    }
