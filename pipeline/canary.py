"""canary: candidate against incumbent, on the same questions, both as the server answers them.

reads   `loras/<candidate>/`, `loras/current`, hold-out, canary tasks, the dataset's hidden questions; asks the gateway
writes  `loras/<candidate>/canary.jsonl`   every question that was asked, with the answers
        `loras/<version>/answers.jsonl`    what each version said, so that it need not be asked again
        `loras/<candidate>/verdict.json`   last; without it, or with anything but `pass` in it, nothing is deployed

`pipeline/gate/` decides; docs/gate.md says how. A candidate that cannot be loaded fails.
"""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.checks import standard_benchmark
from pipeline.backends.engines.exam import Answer, Examinee
from pipeline.backends.engines.interface import EngineError
from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.judges.interface import Judge, compare
from pipeline.backends.judges.openai_judge import openai_judge
from pipeline.backends.trainers import adapter_files
from pipeline.gate.verdict import CATEGORIES, Examination, Rules, Trial
from pipeline.lib import generations, jsonl, lineage, questions
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, ConfigurationError, Inconclusive, NightschoolError, Refused
from pipeline.lib.files import write_json
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.questions import JUDGED, Question

_BATCH = 64  # questions between two looks at the evidence
_NOTHING = "nothing can be asked: write canary tasks into canary.jsonl, or name a hold-out (docs/formats.md)"
_TIMED = 12  # questions asked once more, one at a time, to compare the speed


@dataclass(frozen=True, slots=True)
class Hall:
    """Who is examined, and who judges what cannot be executed."""

    candidate: Examinee
    incumbent: Examinee
    day_zero: Examinee | None  # none: the incumbent is the bare base itself
    judge: Judge | None


def canary(settings: Settings, candidate_id: str | None, dry_run: bool) -> dict[str, Any]:
    """Compare and write the verdict.

    Args:
        settings: error probability, margin, tasks, judge.
        candidate_id: the generation to judge; none: `loras/latest`.
        dry_run: only say what would be compared.

    Raises:
        Refused, Inconclusive: the verdict is not `pass`; it has been written.
        UsageError, BadRecordError: no such candidate; a task or a check that cannot be used.
        UnavailableError: no gateway.
    """
    layout = settings.layout
    candidate = generations.read(layout, candidate_id or "latest")
    if candidate.id == BASE:
        raise ConfigurationError("the bare base model is no candidate", "train one first")
    asked = _questions(settings, candidate)
    judge = _judge(settings, asked)
    incumbent = generations.incumbent(layout)
    plan = {"candidate": candidate.id, "incumbent": incumbent.id, "questions": len(asked)}
    if dry_run:
        return {"dry_run": True, **plan}
    base = lineage.require_current_base(settings)
    lineage.require_same_base(candidate, base, settings)

    client = GatewayClient(settings, settings.canary.timeout)
    client.health()
    started = time.time()
    try:
        candidate.verify_files()
        adapter_files.check(candidate.folder)
        client.load(candidate.id)
    except (EngineError, BadRecordError) as error:
        return _conclude(candidate, {**plan, "at": started, "checks": [], "categories": {}}, "fail", str(error))
    if incumbent.id not in client.versions():
        client.load(incumbent.id)

    def examinee(generation: Generation) -> Examinee:
        return Examinee(client, generation, base, settings.server.max_tokens)

    day_zero = None if incumbent.id == BASE else examinee(generations.bare_base(layout))
    hall = Hall(examinee(candidate), examinee(incumbent), day_zero, judge)
    benchmarks = _standard_benchmarks(hall, settings)
    if not asked and not benchmarks:
        return _conclude(candidate, {**plan, "at": started, "checks": [], "categories": {}}, "inconclusive", _NOTHING)
    groups = {question.group for question in asked} | {trial.group for trial in benchmarks}
    examination = Examination(_rules(settings, groups, day_zero is not None))
    for trial in benchmarks:
        examination.add([trial])
    rows = _examine(hall, examination, asked, settings)
    jsonl.write(candidate.folder / "canary.jsonl", rows)
    verdict, outcome, reason = examination.conclude()
    return _conclude(candidate, {**plan, "asked": len(rows), "at": started, **verdict}, outcome, reason)


def _questions(settings: Settings, candidate: Generation) -> list[Question]:
    """All that may be asked, canary tasks first, the rest shuffled by cluster; every check is tried beforehand.

    A hidden question is anybody's: where its check cannot run here, it is not asked. The user's own are, and fail.
    """
    dataset = settings.home / str(candidate.manifest["dataset"]["path"])
    suites = {
        "canary": questions.read_canary(settings),
        "holdout": questions.read_holdout(settings),
        "hidden": (row for row in questions.read_hidden(dataset) if checks.obstacle(row["check"]) is None),
    }
    found = [
        questions.as_question(row, suite, number) for suite, rows in suites.items() for number, row in enumerate(rows)
    ]
    for question in found:
        if question.check.get("type") == JUDGED:
            continue
        try:
            checks.validate(question.check, plugins=question.ours)
        except ValueError as error:
            raise BadRecordError(
                f"{question.suite} task {question.id}: {error}", "mend the task; nothing was judged"
            ) from error
    place = {question.cluster: number for number, question in enumerate(found)}
    shuffled = list(place)
    random.Random(candidate.id).shuffle(shuffled)
    order = {cluster: (not cluster.startswith("canary/"), number) for number, cluster in enumerate(shuffled)}
    return sorted(found, key=lambda question: order[question.cluster])


def _judge(settings: Settings, asked: Sequence[Question]) -> Judge | None:
    """The configured judge, if a task needs one; without one those tasks have no result, and their category fails."""
    canary = settings.canary
    if canary.judge_url is None or not any(question.check["type"] == JUDGED for question in asked):
        return None
    if not canary.judge_model or canary.judge_model == settings.model.name:
        raise ConfigurationError(
            "canary.judge_model must name a model other than the one that is judged", "a model likes its own words"
        )
    return openai_judge(canary.judge_url, canary.judge_model, canary.timeout)


def _rules(settings: Settings, groups: set[str], compare_with_day_zero: bool) -> Rules:
    canary = settings.canary
    return Rules(
        canary.alpha,
        canary.margin,
        tuple(canary.categories),
        {name: float(getattr(canary, name)) for name in CATEGORIES if name != "performance"},
        canary.latency_ratio,
        tuple(sorted(groups)),
        compare_with_day_zero,
    )


def _examine(
    hall: Hall, examination: Examination, asked: Sequence[Question], settings: Settings
) -> list[dict[str, Any]]:
    """Compare the speed, then ask in batches until the evidence is in (without `stop_early`: until all is asked)."""
    for question in asked[:_TIMED]:
        ours, theirs = hall.candidate.seconds_per_token(question), hall.incumbent.seconds_per_token(question)
        if ours is not None and theirs is not None:
            pair = (ours, theirs)
            examination.add([Trial(question.id, "speed", "performance", "speed", seconds_per_token=pair)])
    rows: list[dict[str, Any]] = []
    for batch in _batches(asked):
        trials, answers = _ask(hall, batch, settings)
        rows += answers
        for cluster in _clusters(batch, trials):
            examination.add(cluster)
        outcome = examination.decide()
        tasks_done = len(rows) == len(asked) or batch[-1].suite != "canary"
        if settings.canary.stop_early and outcome != "inconclusive" and tasks_done:
            break
    for examinee in (hall.candidate, hall.incumbent, hall.day_zero):
        if examinee is not None:
            examinee.remember()
    return rows


def _standard_benchmarks(hall: Hall, settings: Settings) -> list[Trial]:
    """What lm-eval's tasks say of everybody, question by question."""
    if not settings.canary.lm_eval:
        return []

    def sit(examinee: Examinee) -> dict[tuple[str, str], bool]:
        return standard_benchmark.outcomes(
            settings.canary.lm_eval, settings.home, examinee.complete, settings.canary.concurrency
        )

    ours, theirs = sit(hall.candidate), sit(hall.incumbent)
    first = sit(hall.day_zero) if hall.day_zero else {}
    return [
        Trial(
            f"{task} {number}",
            "lm-eval",
            "functionality",
            f"lm-eval {task}",
            candidate=right,
            incumbent=theirs.get((task, number)),
            day_zero=first.get((task, number)),
        )
        for (task, number), right in ours.items()
    ]


def _batches(asked: Sequence[Question]) -> Iterator[list[Question]]:
    """About `_BATCH` questions at a time; a cluster is never torn apart."""
    waiting = iter(asked)
    batch = list(islice(waiting, _BATCH))
    for question in waiting:
        if len(batch) >= _BATCH and question.cluster != batch[-1].cluster:
            yield batch
            batch = []
        batch.append(question)
    if batch:
        yield batch


def _clusters(batch: Sequence[Question], trials: Sequence[Trial]) -> list[list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for question, trial in zip(batch, trials, strict=True):
        found.setdefault(question.cluster, []).append(trial)
    return list(found.values())


def _ask(hall: Hall, batch: Sequence[Question], settings: Settings) -> tuple[list[Trial], list[dict[str, Any]]]:
    """One batch, asked of everybody at the same time: a busy minute hits all alike."""
    examinees = [hall.candidate, hall.incumbent, *([hall.day_zero] if hall.day_zero else [])]
    with ThreadPoolExecutor(len(examinees)) as together:
        asking = [together.submit(each.answer_all, batch, settings.canary.concurrency) for each in examinees]
        answers = [each.result() for each in asking]
    trials, rows = [], []
    for question, ours, theirs, *first in zip(batch, *answers, strict=True):
        day_zero = first[0] if first else None
        preference = since = _preference(hall, question, ours, theirs, settings)
        if day_zero is not None and day_zero.text != theirs.text:
            since = _preference(hall, question, ours, day_zero, settings)
        trials.append(_trial(question, ours, theirs, day_zero, preference, since))
        sides = {"candidate": asdict(ours), "incumbent": asdict(theirs)}
        rows.append({**asdict(question), **sides, **({} if preference is None else {"preference": preference})})
    return trials, rows


def _preference(hall: Hall, question: Question, ours: Answer, theirs: Answer, settings: Settings) -> float | None:
    if question.check["type"] != JUDGED or hall.judge is None:
        return None
    return compare(hall.judge, question.messages, ours.text, theirs.text, settings.canary.judge_longest)


def _trial(
    question: Question,
    ours: Answer,
    theirs: Answer,
    first: Answer | None,
    preference: float | None,
    preference_to_day_zero: float | None,
) -> Trial:
    return Trial(
        question.id,
        question.suite,
        question.category,
        question.group,
        question.must_pass,
        question.harmless,
        ours.passed,
        theirs.passed,
        first.passed if first else None,
        preference,
        preference_to_day_zero,
        not_run=ours.error if ours.passed is None else None,
    )


def _conclude(candidate: Generation, verdict: dict[str, Any], outcome: str, reason: str) -> dict[str, Any]:
    """Write the verdict; anything but a pass ends the night."""
    record = {**verdict, "candidate_sha256": candidate.sha256, "outcome": outcome, "reason": reason}
    path = candidate.folder / generations.VERDICT
    write_json(path, record)
    message = f"candidate {candidate.id}: {reason}"
    endings: dict[str, type[NightschoolError]] = {"fail": Refused, "inconclusive": Inconclusive}
    if outcome in endings:
        raise endings[outcome](message, f"the incumbent stays; details in {path}")
    return {**record, "verdict": str(path)}
