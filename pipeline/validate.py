"""validate: in the morning, yesterday's model against today's, on questions that were answered badly.

reads   the interaction log, the ledger, the hold-out, what both versions were trained on; asks the running gateway
writes  `logs/validation/<date>.jsonl`  every question with both answers
        `logs/validation/<date>.json`   counts of both, last

It looks, and changes nothing. A question is here because some version failed on it, often yesterday's, which then
starts behind: whether a model is better is the canary's to say. `failed_under` tells whose failures they were.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.gateway_client import GatewayClient, RefusedChatError
from pipeline.backends.sources.own_log import OwnLog
from pipeline.gate.sequential import Leg, difference
from pipeline.lib import generations, jsonl, lineage, questions
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, NothingToDo, UsageError
from pipeline.lib.files import write_json
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.layout import Layout
from pipeline.lib.records import Message, failure_signal

NEW, TRAINED_ON, HELD_OUT = "new", "trained on", "hold-out"


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `group`: could the versions have learned it? `failed_under`: the version that failed on it."""

    id: str
    group: str
    messages: list[Message]
    check: dict[str, Any]
    failed_under: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version said, and whether it was right."""

    text: str
    passed: bool
    error: str | None


def validate(settings: Settings, dry_run: bool) -> dict[str, Any]:
    """Ask both versions and write down how each did.

    Args:
        settings: how far back to look, how many questions.
        dry_run: only say what would be asked.

    Raises:
        NothingToDo: nothing was promoted yet, the latest promotion was rolled back, or there is nothing to ask.
        ConfigurationError: the gateway serves another base model.
        UnavailableError: no gateway.
    """
    layout = settings.layout
    yesterday, today = _versions(layout)
    asked = _questions(settings, [yesterday, today])
    if not asked:
        raise NothingToDo("nothing to ask: no failed interactions with a check, no hold-out")
    groups = Counter(question.group for question in asked)
    plan = {"yesterday": yesterday.id, "today": today.id, "questions": len(asked), "groups": dict(groups)}
    if dry_run:
        return {"dry_run": True, **plan}
    before, after = _ask_both(settings, [yesterday, today], asked)
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = (
        {**asdict(q), "yesterday": asdict(b), "today": asdict(a)} for q, b, a in zip(asked, before, after, strict=True)
    )
    jsonl.write(layout.validation / f"{date}.jsonl", rows)
    pairs = {
        group: [
            (new.passed, old.passed)
            for question, old, new in zip(asked, before, after, strict=True)
            if group in ("all", question.group)
        ]
        for group in ("all", *groups)
    }
    record = {
        "date": date,
        "at": time.time(),
        **plan,
        "failed_under": dict(Counter(question.failed_under for question in asked if question.failed_under)),
        "groups": {group: _numbers(each, settings) for group, each in pairs.items()},
    }
    path = layout.validation / f"{date}.json"
    write_json(path, record)
    return {**record, "validation": str(path.relative_to(settings.home))}


def _versions(layout: Layout) -> tuple[Generation, Generation]:
    """What was current before the latest promotion, and what is current now."""
    today = generations.incumbent(layout)
    promotion = lineage.latest_promotion(layout, lineage.current_base(layout))
    if promotion is None:
        raise NothingToDo("nothing has been promoted yet")
    if promotion["from"] == today.id:
        raise NothingToDo(f"{promotion['to']} was rolled back: today's model is yesterday's", "`nightschool report`")
    try:
        return generations.read(layout, promotion["from"]), today
    except UsageError as error:
        raise NothingToDo(f"yesterday's model is no longer there: {promotion['from']}") from error


def _questions(settings: Settings, versions: Sequence[Generation]) -> list[Question]:
    """Failures, the newest first; those trained on only as far as the others do not suffice. Else the hold-out."""
    limit = settings.validation.questions
    failures = list(_failures(settings, versions))
    chosen = sorted(failures, key=lambda question: question.group == TRAINED_ON)[:limit]
    if chosen:
        return chosen
    rows = [row for row in questions.read_holdout(settings) if _decidable(row["check"])]
    spread = rows[:: -(-len(rows) // limit) or 1]
    return [Question(f"holdout-{n}", HELD_OUT, row["messages"], row["check"]) for n, row in enumerate(spread)]


def _decidable(check: dict[str, Any]) -> bool:
    """Whether answers can be judged here and now: by no judge, and in no sandbox that this machine does not have."""
    return check.get("type") != questions.JUDGED and checks.obstacle(check) is None


def _failures(settings: Settings, versions: Sequence[Generation]) -> Iterator[Question]:
    """Failed interactions with a usable check, the newest first, each question once."""
    since = time.time() - settings.validation.hours * 3600
    ids, learned = _learned(settings.layout, versions)
    log = OwnLog(settings.layout.interactions).interactions(since, float("inf"))
    seen: set[str] = set()
    for each in sorted(log, key=lambda interaction: -interaction.at):
        key = questions.key({"messages": each.messages})
        if failure_signal(each) and each.check is not None and key not in seen and checks.usable(each.check):
            seen.add(key)
            group = TRAINED_ON if each.id in ids or key in learned else NEW
            yield Question(each.id, group, each.messages, each.check, each.adapter)


def _learned(layout: Layout, versions: Sequence[Generation]) -> tuple[set[str], set[str]]:
    """Interactions and questions that the versions, or what they descend from, were trained on."""
    ids: set[str] = set()
    keys: set[str] = set()
    known = {each.id: each for each in generations.all_complete(layout)}
    waiting, seen = [each.id for each in versions], {BASE}
    while waiting:
        generation = known.get(waiting.pop())
        if generation is None or generation.id in seen:
            continue
        seen.add(generation.id)
        waiting.append(str(generation.manifest.get("parent")))
        ids |= generation.interaction_ids
        rows = jsonl.read(layout.home / str(generation.manifest["dataset"]["path"]) / "sft.jsonl")
        keys |= {questions.key({"messages": row["messages"][:-1]}) for row in rows}
    return ids, keys


def _ask_both(
    settings: Settings, versions: Sequence[Generation], asked: Sequence[Question]
) -> tuple[list[Answer], list[Answer]]:
    """Ask both at the same time: a busy minute hits them alike. What had to be loaded for it is unloaded again."""
    client = GatewayClient(settings, settings.canary.timeout)
    health = client.health()
    if any(each.id != BASE and each.base_sha256 != health["base_sha256"] for each in versions):
        raise ConfigurationError("the gateway serves another base model", "restart `nightschool serve`")
    missing = [each.id for each in versions if each.id not in health["loaded"]]
    for version in missing:
        client.load(version)
    try:
        with ThreadPoolExecutor(2) as both:
            asking = [both.submit(_ask, client, each.id, asked, settings.canary.concurrency) for each in versions]
            before, after = (each.result() for each in asking)
    finally:
        for version in missing:
            if client.drain(version, 30):
                client.unload(version)
    return before, after


def _ask(client: GatewayClient, version: str, asked: Sequence[Question], concurrency: int) -> list[Answer]:
    """Greedy answers to every question; a wrong one where the gateway refuses it."""

    def ask(question: Question) -> Answer:
        try:
            answer = client.chat(question.messages, "validate", version, temperature=0)
        except RefusedChatError as error:
            return Answer("", False, str(error))
        text = str(answer["choices"][0]["message"]["content"])
        outcome = checks.judge(text, question.check, plugins=question.group == HELD_OUT)
        return Answer(text, outcome.passed is True, outcome.error)

    with ThreadPoolExecutor(concurrency) as pool:
        return list(pool.map(ask, asked))


def _numbers(pairs: list[tuple[bool, bool]], settings: Settings) -> dict[str, Any]:
    """Counts of both sides; the improvement as a share of the questions, and relative to what yesterday's could."""
    today, yesterday = sum(new for new, _ in pairs), sum(old for _, old in pairs)
    leg = Leg("improvement", settings.canary.alpha, settings.canary.margin)
    for pair in pairs:
        leg.add([difference(*pair)])
    return {
        "questions": len(pairs),
        "yesterday": yesterday,
        "today": today,
        "won": leg.wins,
        "lost": leg.losses,
        "improvement_rate": (today - yesterday) / max(1, len(pairs)),
        "relative_improvement": (today - yesterday) / yesterday if yesterday else None,
        "interval": leg.to_record()["interval"],
    }
