"""harvest: what failed, and better answers to it.

reads   the sources (our own interaction log, and those of `harvest.sources`)
writes  `training_data/failures_YYYYMMDD.jsonl`          what failed, each question once, without secrets
        `training_data/failures_YYYYMMDD.left_out.jsonl` what failed but goes no further, each with its reason
        `training_data/harvest_YYYYMMDD.jsonl`           one rewrite a line
        `training_data/harvest_YYYYMMDD.unsolved.jsonl`  failures that nobody could fix, with the reason
        `training_data/rehearsal.jsonl`                  what the base itself answers to `dataset.rehearsal`
        `training_data/answers.sqlite`                   what other models answered, and cost, for a week
        `training_data/harvest_YYYYMMDD.json`            counts and hashes, last: it makes the harvest complete

Each failure is written down as soon as it is decided. A harvest that is killed goes on behind the last decided one:
a failure is decided once for each teacher, and a better teacher (tomorrow's model) may try the unsolved ones again, as
it may when somebody has said more about it since.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

from pipeline.backends.executors.choice import executor_of
from pipeline.backends.executors.interface import Executor
from pipeline.backends.sources import selection
from pipeline.backends.sources.failures import Found
from pipeline.backends.sources.interface import Row
from pipeline.backends.teachers.choice import Seats, ledger_of, nothing_allowed, seated
from pipeline.backends.teachers.council import Decision
from pipeline.backends.teachers.deciding import Council, decisions, obstacle, without_teacher
from pipeline.backends.teachers.examples import verified
from pipeline.backends.teachers.least_to_most import LeastToMost
from pipeline.backends.teachers.outcomes import write_down
from pipeline.backends.teachers.rehearsal import rehearse
from pipeline.backends.teachers.scoring import without_check
from pipeline.evolution.steering import Steering
from pipeline.lib import exclusions, harvests, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo
from pipeline.lib.files import sha256, write_json
from pipeline.lib.harvests import HarvestFiles
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems
from pipeline.lib.records import Failure

_NOBODY = "nobody"  # decided without a teacher
_EXAMPLES = 1500  # of the week's good answers, and of the rewrites
_STUDYING = 0.4  # of the time, at most: the rest is for the failures themselves
_BATCH = 64  # failures that go to another machine together


@dataclass
class _Work:
    """What was decided, by whom, and what became of the rest."""

    teacher: str = _NOBODY
    worked_on: int = 0
    left: int = 0
    over: str | None = None  # the budget that is spent, or `minutes`
    spent: dict[str, float] | None = None  # on other models, all day
    teacher_problems: Counter[str] = field(default_factory=Counter)  # of teachers and judges: "name: what"
    generated_tokens: int = 0  # by the served model, for this harvest
    steering: dict[str, Any] | None = None  # what past nights have changed

    def took(self, decision: Decision) -> None:
        """Count a failure that was decided."""
        self.worked_on += 1
        self.left = max(0, self.left - 1)
        self.teacher_problems.update(decision.problems)

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {**asdict(self), "teacher_problems": dict(sorted(self.teacher_problems.items()))}


def harvest(
    settings: Settings,
    since: float | None,
    until: float | None,
    dry_run: bool,
    version: str | None = None,
    run: str | None = None,
) -> dict[str, Any]:
    """Find the failures of a window and have them answered again.

    Args:
        settings: where the sources are, how many samples, which quality.
        since: seconds since 1970; none: where the last harvest ended, at least `harvest.hours` before `until`.
        until: seconds since 1970; none: now.
        dry_run: only find and count.
        version: the generation that drafts, served or not; none: the one that is served.
        run: the night, for the history.

    Raises:
        NothingToDo: nothing failed, everything has been decided already, or the budget is zero.
        UnavailableError: no teacher answers; what was decided is kept.
        ConfigurationError: teachers or judges that cannot be.
        BadRecordError, BusyError: not one source could be read. What cannot be read in a source that can is counted.
    """
    until = until or time.time()
    files = harvests.of_day(settings.layout, datetime.fromtimestamp(until, UTC))
    found = Found()
    with executor_of(settings) as executor:
        chosen = selection.selected(settings, since, until, executor, found)
        if dry_run:
            return {"dry_run": True, **_counted(settings.layout, until, chosen), **found.to_json()}
        written = selection.write(settings, files, chosen, executor)
        _warn(found)
        waiting = _waiting(settings.layout, until)
        if not any(True for _ in _failures(settings.layout, until)):
            others = f" but {waiting} that wait for a sandbox (`nightschool doctor`)" if waiting else ""
            raise NothingToDo(f"no failures in the window{others}", "more of the past: --since")
        rehearse(settings)
        work = _decide_all(settings, files, until, version, executor, run)
    manifest = {
        "since": since,
        "until": until,
        "failures": sum(found.signals.values()),
        **found.to_json(),
        **written,
        **work.to_json(),
        "waiting": waiting,
        **_totals(files),
    }
    write_json(files.manifest, manifest)
    return {**manifest, "manifest": str(files.manifest.relative_to(settings.home))}


def _counted(layout: Layout, until: float, chosen: Iterable[tuple[Row, str | None]]) -> dict[str, int]:
    """How many there are by what would become of them; `new`: failures that nobody has decided, older ones too."""
    known, outcomes = harvests.decided_by_anybody(layout), Counter({"failures": 0})
    new = {each.id for each in _failures(layout, until) if each.news > known.get(each.id, ())}
    for row, reason in chosen:
        outcomes["failures" if reason is None else reason] += 1
        if reason is None:
            failure = Failure.model_validate(row)
            if failure.news > known.get(failure.id, ()) and obstacle(failure) is None:
                new.add(failure.id)
    return {**outcomes, "new": len(new)}


def _warn(found: Found) -> None:
    for name, problems in found.problems.items():
        if problems.count:
            logger.warning("%s: %s", name, problems)


def _decide_all(
    settings: Settings, files: HarvestFiles, until: float, version: str | None, executor: Executor, run: str | None
) -> _Work:
    """Decide what was not decided yet."""
    layout, scored = settings.layout, without_check(settings, version)
    work, threshold = _Work(), settings.harvest.quality_threshold
    for failure, decision in _by_themselves(layout, until, scored):
        write_down(files, failure, decision, _NOBODY, 0, threshold)
        work.took(decision)
    if any(without_teacher(failure, scored) is None for failure in _failures(layout, until)):
        zero = nothing_allowed(settings)
        if zero is None:
            _ask(settings, files, until, version, executor, work, run)
        else:
            work.over, work.left = zero, sum(1 for _ in _open(settings, until, _NOBODY, scored))
            logger.warning("the budget of %s is zero: nobody is asked, %d failures wait", zero, work.left)
            if not work.worked_on:
                raise NothingToDo(f"the budget of {zero} is zero: nobody was asked", f"see harvest.budget_{zero}")
    if not work.worked_on and not work.left:
        raise NothingToDo("all failures have been decided already")
    return work


def _ask(
    settings: Settings,
    files: HarvestFiles,
    until: float,
    version: str | None,
    executor: Executor,
    work: _Work,
    run: str | None,
) -> None:
    """Have teachers decide what needs them, as far as time and budget go."""
    scored, day = without_check(settings, version), f"{datetime.fromtimestamp(until, UTC):%Y%m%d}"
    deadline = time.time() + 60 * settings.harvest.minutes
    soon = time.time() + 60 * settings.harvest.minutes * _STUDYING
    with seated(settings, version, ledger_of(settings, day)) as seats:
        work.teacher = seats.teacher.name
        asked = [failure.question for failure in _open(settings, until, work.teacher, scored)]
        work.left = len(asked)
        seed, problems = settings.dataset.seed, Problems()
        patterns, now = settings.layout.patterns, time.time()
        steering = Steering(patterns, asked, seats.default, now, seed, problems, seats.together)
        if problems.count:
            logger.warning("what past nights tried: %s", problems)
        if isinstance(seats.teacher, LeastToMost) and asked:
            seats.teacher.study(verified(settings, until, _EXAMPLES), asked, settings.harvest.probes, soon)
        seats = replace(seats, steering=steering)
        todo = _open(settings, until, work.teacher, scored)
        if settings.harvest.executor == "local":
            decided: Iterable[tuple[Failure, Decision]] = decisions(todo, seats, settings, deadline)
        else:
            council = Council(settings, version, deadline, day, -(-work.left // _BATCH), steering)
            decided = chain.from_iterable(executor.map(council, _batches(todo)))
        try:
            _write_all(files, work, decided, seats, settings.harvest.quality_threshold, run)
        finally:
            work.spent = asdict(seats.ledger.spent) if settings.harvest.executor == "local" else None
            work.generated_tokens = seats.student.tokens if seats.student else 0
            work.steering = steering.summary()
    if work.left:
        work.over = seats.ledger.over or ("minutes" if time.time() >= deadline else None)
        logger.warning("%d failures wait%s", work.left, f": {work.over} are spent" if work.over else "")


def _write_all(
    files: HarvestFiles,
    work: _Work,
    decided: Iterable[tuple[Failure, Decision]],
    seats: Seats,
    threshold: float,
    run: str | None,
) -> None:
    """Write down what was decided, and what that says about the pattern of the failure."""
    for failure, decision in decided:
        samples = seats.strategy(failure).samples
        solved = write_down(files, failure, decision, work.teacher, samples, threshold)
        work.took(decision)
        if seats.steering is not None and not decision.waits:  # it is decided anew, and would count each night
            error, votes = failure.error_text, decision.votes
            seats.steering.record(failure.question, failure.id, error, work.teacher, votes, solved, run, decision.by)


def _failures(layout: Layout, until: float) -> Iterator[Failure]:
    """Those of the last days whose people have not been excluded since, and whose checks can run here."""
    return (each for each in _known(layout, until) if obstacle(each) is None)


def _waiting(layout: Layout, until: float) -> int:
    """How many are left undecided, for as long as this machine cannot run their checks."""
    obstacles = [problem for each in _known(layout, until) if (problem := obstacle(each))]
    if obstacles:
        logger.warning("%d failures wait: %s (%s)", len(obstacles), obstacles[0], obstacles[0].hint)
    return len(obstacles)


def _known(layout: Layout, until: float) -> Iterator[Failure]:
    excluded = exclusions.read(layout)
    return (each for each in harvests.failures(layout, until) if excluded.reason(each.id, each.user) is None)


def _by_themselves(layout: Layout, until: float, scored: bool) -> Iterator[tuple[Failure, Decision]]:
    """Failures that need no teacher and were not decided before."""
    known = harvests.decided(layout, _NOBODY, 0)
    for failure in _failures(layout, until):
        if failure.news > known.get(failure.id, ()):
            decision = without_teacher(failure, scored)
            if decision is not None:
                yield failure, decision


def _open(settings: Settings, until: float, teacher: str, scored: bool) -> Iterator[Failure]:
    """Failures for the teacher, those that nobody tried yet before the others."""
    layout = settings.layout
    known, tried = harvests.decided(layout, teacher, settings.harvest.samples), harvests.tried(layout)
    for tried_before in (False, True):
        for failure in _failures(layout, until):
            new = failure.news > known.get(failure.id, ())
            if new and (failure.id in tried) == tried_before and without_teacher(failure, scored) is None:
                yield failure


def _batches(todo: Iterator[Failure]) -> Iterator[list[Failure]]:
    while batch := list(islice(todo, _BATCH)):
        yield batch


def _totals(files: HarvestFiles) -> dict[str, Any]:
    """What the day's harvest amounts to, this run and earlier ones."""
    solved = {str(row["interaction_id"]) for row in jsonl.read(files.rewrites)}
    unsolved = {str(row["interaction_id"]) for row in jsonl.read(files.unsolved)} - solved
    return {
        "rewrites": len(solved),
        "unsolved": len(unsolved),
        "sha256": sha256(files.rewrites) if solved else None,
    }
