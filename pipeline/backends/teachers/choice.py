"""Who drafts, who scores, and who pays, as the settings have it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.judges.paid import PaidJudge
from pipeline.backends.providers.ledger import Budget, Ledger
from pipeline.backends.providers.registry import Model, known, named, provider_of
from pipeline.backends.teachers.interface import Teacher
from pipeline.backends.teachers.judging import Bench, same_model
from pipeline.backends.teachers.least_to_most import LeastToMost
from pipeline.backends.teachers.providers import ProviderTeacher
from pipeline.backends.teachers.scoring import Scorer
from pipeline.backends.teachers.served_model import ServedModel
from pipeline.backends.teachers.several import SeveralTeachers
from pipeline.evolution.categories import categorize
from pipeline.evolution.history import Strategy
from pipeline.evolution.steering import Steering
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.records import Failure

_DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Seats:
    """Those who decide about failures."""

    teacher: Teacher
    scorer: Scorer
    ledger: Ledger
    default: Strategy
    student: ServedModel | None = None  # it drafts itself
    together: tuple[str, ...] = ()  # the names of several teachers that draft together
    steering: Steering | None = None  # what past nights advise

    def strategy(self, failure: Failure) -> Strategy:
        """How drafts for a failure are drawn, and how many."""
        if self.steering is None:
            return self.default
        # What no check decides is not in the history: it does not tell who answers such questions well.
        category = categorize(failure.error_text) if failure.check else None
        return self.steering.strategy(failure.question, failure.id, category)

    def promise(self, failure: Failure) -> float:
        """The chance of a draft for it; those that promise most go first."""
        return self.steering.promise(failure.question) if self.steering else 0.0


@contextmanager
def seated(settings: Settings, version: str | None, ledger: Ledger) -> Iterator[Seats]:
    """Teacher and scorer, until the block ends; then the ledger is closed, too.

    Raises:
        UnavailableError: no teacher answers.
        ConfigurationError: a name is unknown, or a judge is the student, or nobody may judge a teacher.
    """
    asked = settings.harvest
    with ExitStack() as stack:
        stack.callback(ledger.close)
        judges = [
            PaidJudge(each, provider_of(settings, each), asked.teacher_calls, ledger) for each in _judges(settings)
        ]
        for judge in judges:
            stack.callback(judge.close)
        scorer = Scorer(asked.scorer, Bench(judges, _student(settings), asked.judge_longest), asked.judged_drafts)
        default = Strategy(asked.temperature, asked.top_p, asked.samples)
        if version is None and (asked.teachers or asked.teacher == "providers"):
            members = [
                ProviderTeacher(each, provider_of(settings, each), settings, ledger) for each in _teachers(settings)
            ]
            for member in members:
                stack.callback(member.close)
            several = SeveralTeachers(members, together=bool(asked.teachers))
            together = tuple(dict.fromkeys(each.name for each in members)) if asked.teachers else ()
            yield Seats(several, scorer, ledger, default, together=together)
        else:
            student = stack.enter_context(_served(settings, version))
            teacher: Teacher = student
            if asked.composed:
                teacher = LeastToMost(student, settings.layout.parts, asked.composed, asked.concurrency)
            yield Seats(teacher, scorer, ledger, default, student)


def ledger_of(settings: Settings, day: str, shared_by: int = 0) -> Ledger:
    """The ledger of a day.

    Args:
        settings: the budget.
        day: YYYYMMDD.
        shared_by: number of batches for which other machines have one each, in memory, with their part of the budget.

    Raises:
        DiskError: it cannot be opened.
    """
    asked = settings.harvest
    budget = Budget(asked.budget_calls, asked.budget_tokens, asked.budget_money)
    if shared_by:
        return Ledger(None, day, budget.part(shared_by))
    pays = asked.teachers or asked.judges or asked.teacher == "providers"
    return Ledger(settings.layout.training_data / "answers.sqlite" if pays else None, day, budget)


def nothing_allowed(settings: Settings) -> str | None:
    """Which budget is zero, so that nobody may be asked at all."""
    asked = settings.harvest
    limits = {"calls": asked.budget_calls, "tokens": asked.budget_tokens, "money": asked.budget_money}
    return next((name for name, limit in limits.items() if limit == 0), None)


@contextmanager
def _served(settings: Settings, version: str | None) -> Iterator[ServedModel]:
    """The gateway's model; a generation that was loaded only for this is forgotten afterwards."""
    asked = settings.harvest
    client = GatewayClient(settings, asked.timeout)
    extra = version is not None and version not in client.versions()
    if version is not None:
        client.load(version)
    try:
        yield ServedModel(client, asked.max_tokens, version)
    finally:
        if version is not None and extra and client.drain(version, _DRAIN_SECONDS):
            client.unload(version)


def _teachers(settings: Settings) -> list[Model]:
    names = settings.harvest.teachers
    return [named(settings, name) for name in names] if names else known(settings)


def _judges(settings: Settings) -> list[Model]:
    """Those of the settings, none of them the student, and each teacher's drafts with one that may judge them.

    Raises:
        ConfigurationError: it is not so.
    """
    asked = settings.harvest
    if asked.scorer == "judged" and not asked.judges:
        raise ConfigurationError("harvest.scorer is judged, but harvest.judges names nobody", "see docs/teachers.md")
    judges = [named(settings, name) for name in asked.judges]
    for judge in judges:
        if judge.kind == "embedded" or any(same_model(judge.model, name) for name in _student(settings)):
            raise ConfigurationError(f"judge {judge.name} is the model that is taught", "a model likes its own words")
    for teacher in _teachers(settings) if judges and asked.teachers else []:
        if all(same_model(judge.model, teacher.model) for judge in judges):
            raise ConfigurationError(
                f"nobody may judge what {teacher.name} writes: a judge is not the teacher", "name another judge"
            )
    return judges


def _student(settings: Settings) -> list[str]:
    return [name for name in (settings.model.name, settings.model.base, settings.engine.base_name) if name]
