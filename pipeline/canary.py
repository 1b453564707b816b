"""canary: candidate against incumbent, on the same questions, both as the server answers them.

reads   `loras/<candidate>/`, `loras/current`, the hold-out, the canary tasks; asks the running gateway
writes  `loras/<candidate>/canary.jsonl`   every question with both answers
        `loras/<candidate>/verdict.json`   last; without it, or with anything but `pass` in it, nothing is deployed

A candidate fails when it is significantly worse (overall or in a group), when it misses a `must_pass` task, or when it
cannot be loaded at all. It passes when it is better, or surely not worse by the margin. Else: inconclusive.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.engines.interface import EngineError
from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.trainers import adapter_files
from pipeline.gate.paired import PairedResult, compare, proportion_interval
from pipeline.lib import generations, jsonl, lineage, questions
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, ConfigurationError, Inconclusive, NightschoolError, Refused
from pipeline.lib.files import write_json
from pipeline.lib.generations import BASE, Generation


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the comparison."""

    id: str
    suite: str
    group: str
    messages: list[dict[str, str]]
    check: dict[str, Any]
    must_pass: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version said, and whether it was right."""

    text: str
    passed: bool
    error: str | None


def canary(settings: Settings, candidate_id: str | None, dry_run: bool) -> dict[str, Any]:
    """Compare and write the verdict.

    Args:
        settings: error probability, margin, tasks.
        candidate_id: the generation to judge; none: `loras/latest`.
        dry_run: only say what would be compared.

    Raises:
        Refused, Inconclusive: the verdict is not `pass`; it has been written.
        UsageError, BadRecordError: no such candidate; a task that cannot be used.
        UnavailableError: no gateway.
    """
    layout = settings.layout
    candidate = generations.read(layout, candidate_id or "latest")
    if candidate.id == BASE:
        raise ConfigurationError("the bare base model is no candidate", "train one first")
    asked = _questions(settings)
    if not asked:
        raise ConfigurationError("no hold-out and no canary tasks: nothing to judge by", "set dataset.holdout")
    incumbent = generations.incumbent(layout)
    plan = {"candidate": candidate.id, "incumbent": incumbent.id, "questions": len(asked)}
    if dry_run:
        return {"dry_run": True, **plan}
    lineage.require_current_base(settings)
    _require_same_base(candidate, settings)

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
    # Both are asked at the same time: a busy minute hits them alike.
    with ThreadPoolExecutor(2) as both:
        asking = [
            both.submit(_ask_all, client, version, asked, settings.canary.concurrency)
            for version in (candidate.id, incumbent.id)
        ]
        ours, theirs = (each.result() for each in asking)
    jsonl.write(candidate.folder / "canary.jsonl", _side_by_side(asked, ours, theirs))
    verdict, outcome, reason = _judge(asked, ours, theirs, settings)
    return _conclude(candidate, {**plan, "at": started, **verdict}, outcome, reason)


def _questions(settings: Settings) -> list[Question]:
    """Hold-out and canary tasks; every check is tried before anybody is asked."""
    found = [
        Question(f"holdout-{number}", "holdout", row.get("group", "hold-out"), row["messages"], row["check"], False)
        for number, row in enumerate(questions.read_holdout(settings))
    ]
    found += [
        Question(
            str(row["id"]),
            "canary",
            row.get("group", "canary"),
            row["messages"],
            row["check"],
            bool(row.get("must_pass")),
        )
        for row in questions.read_canary(settings)
    ]
    for question in found:
        try:
            checks.validate(question.check)
        except ValueError as error:
            raise BadRecordError(
                f"{question.suite} task {question.id}: {error}", "mend the task; nothing was judged"
            ) from error
    return found


def _require_same_base(candidate: Generation, settings: Settings) -> None:
    """Recorded facts beat configuration: an adapter belongs to the base that it was trained on."""
    recorded = candidate.manifest.get("base", {}).get("sha256")
    if recorded != base_sha256(settings.base_folder):
        raise ConfigurationError(
            f"candidate {candidate.id} was trained on another base model than {settings.model.base}",
            "set model.base back, or train again",
        )


def _ask_all(client: GatewayClient, version: str, asked: Sequence[Question], concurrency: int) -> list[Answer]:
    """Greedy answers to every question."""

    def ask(question: Question) -> Answer:
        answer = client.chat(question.messages, "canary", version, temperature=0)
        text = str(answer["choices"][0]["message"]["content"])
        outcome = checks.judge(text, question.check)
        return Answer(text, outcome.passed is True, outcome.error)

    with ThreadPoolExecutor(concurrency) as pool:
        return list(pool.map(ask, asked))


def _judge(
    asked: Sequence[Question], ours: Sequence[Answer], theirs: Sequence[Answer], settings: Settings
) -> tuple[dict[str, Any], str, str]:
    """Verdict fields, outcome, reason."""
    pairs = [(our.passed, their.passed) for our, their in zip(ours, theirs, strict=True)]
    by_group: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for question, pair in zip(asked, pairs, strict=True):
        by_group[question.group].append(pair)
    alpha, margin = settings.canary.alpha, settings.canary.margin
    overall = compare(pairs, alpha, margin)
    # The error probability is shared among the groups: many looks must not make one false alarm likely.
    groups = {group: compare(each, alpha / len(by_group), margin) for group, each in sorted(by_group.items())}
    missed = [q.id for q, answer in zip(asked, ours, strict=True) if q.must_pass and not answer.passed]
    verdict = {
        "checks": [_check("overall", overall, margin), *(_check(name, each, margin) for name, each in groups.items())],
        "categories": {"functionality": _category(pairs)},
        "suites": {
            suite: _category([pair for q, pair in zip(asked, pairs, strict=True) if q.suite == suite])
            for suite in ("holdout", "canary")
        },
        "must_pass_missed": missed,
    }
    return (verdict, *_decide(overall, groups, missed))


def _decide(overall: PairedResult, groups: dict[str, PairedResult], missed: list[str]) -> tuple[str, str]:
    counts = f"{overall.wins} won, {overall.losses} lost of {overall.pairs}"
    if missed:
        return "fail", f"must_pass tasks missed: {', '.join(missed)}"
    if overall.outcome == "fail":
        return "fail", f"worse than the incumbent: {counts}, p = {overall.p_worse:.2g}"
    worse = [name for name, result in groups.items() if result.outcome == "fail"]
    if worse:
        return "fail", f"worse than the incumbent on: {', '.join(worse)}"
    low, high = overall.interval
    if overall.outcome == "pass":
        return "pass", f"{counts}, difference {overall.difference:+.1%} [{low:+.1%}, {high:+.1%}]"
    return "inconclusive", f"{counts}: too little evidence either way [{low:+.1%}, {high:+.1%}]"


def _check(name: str, result: PairedResult, margin: float) -> dict[str, Any]:
    return {
        "name": name,
        "n": result.pairs,
        "wins": result.wins,
        "losses": result.losses,
        "value": result.difference,
        "threshold": -margin,
        "e_value": None,
        "p_worse": result.p_worse,
        "p_better": result.p_better,
        "interval": list(result.interval),
        "outcome": result.outcome,
    }


def _category(pairs: Iterable[tuple[bool, bool]]) -> dict[str, Any]:
    """Success of both sides with Wilson's interval."""
    listed = list(pairs)
    sides = {"candidate": sum(ours for ours, _ in listed), "incumbent": sum(theirs for _, theirs in listed)}
    return {
        "n": len(listed),
        **{
            side: {
                "passed": passed,
                "success": passed / len(listed) if listed else None,
                "interval": list(proportion_interval(passed, len(listed))),
            }
            for side, passed in sides.items()
        },
    }


def _side_by_side(
    asked: Sequence[Question], ours: Sequence[Answer], theirs: Sequence[Answer]
) -> Iterable[dict[str, Any]]:
    for question, our, their in zip(asked, ours, theirs, strict=True):
        yield {**asdict(question), "candidate": asdict(our), "incumbent": asdict(their)}


def _conclude(candidate: Generation, verdict: dict[str, Any], outcome: str, reason: str) -> dict[str, Any]:
    """Write the verdict; anything but a pass ends the night."""
    record = {**verdict, "candidate_sha256": candidate.sha256, "outcome": outcome, "reason": reason}
    path = Path(candidate.folder / generations.VERDICT)
    write_json(path, record)
    message = f"candidate {candidate.id}: {reason}"
    endings: dict[str, type[NightschoolError]] = {"fail": Refused, "inconclusive": Inconclusive}
    if outcome in endings:
        raise endings[outcome](message, f"the incumbent stays; details in {path}")
    return {**record, "verdict": str(path)}
