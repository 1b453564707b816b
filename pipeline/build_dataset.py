"""build-dataset: rewrites + replay → training rows.

reads   every harvest, the sources and `training_data/rehearsal.jsonl` (for replay), the hold-out, the canary tasks,
        `training_data/exclusions.jsonl`
writes  `training_data/<run>/sft.jsonl`                 {messages, interaction_id}: TRL's conversational form
        `…/preferences.jsonl`, `…/unpaired.jsonl`       for DPO and KTO
        `…/alpaca.jsonl`, `…/prompt_completion.jsonl`   the same rows for other trainers (`pipeline/lib/formats.py`)
        `…/provenance.jsonl`                            whose row it is, where from, by which signal, who verified it
        `…/holdout.jsonl`, `…/dropped.jsonl`            never trained on; left out, each with its reason
        `…/hidden.jsonl`                                this week's questions that only the canary may see
        `…/README.md`                                   the card: what is in here, for people and for `datasets`
        `…/dataset.json`                                counts, hashes, configuration; last, so it makes all complete

A rewrite is *new* until a generation in the current lineage has been trained on it: on this very answer, not only on
another one to the same interaction. Rolling a generation back makes its rows new again by itself.
"""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.backends.checks import run as checks
from pipeline.backends.sources.configured import configured
from pipeline.backends.sources.interface import Row
from pipeline.backends.teachers.rehearsal import REHEARSAL, rehearsed
from pipeline.evolution.steering import Mix
from pipeline.hygiene.scrubbing import Scrubbing
from pipeline.hygiene.sieve import Candidate, Exam, Limits, Sieve
from pipeline.lib import exclusions, formats, generations, harvests, jsonl, questions, tokens
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, NothingToDo
from pipeline.lib.exclusions import Exclusions
from pipeline.lib.files import publish_folder, sha256, write_bytes, write_json
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems
from pipeline.lib.records import Interaction, Message, Rewrite, content_id
from pipeline.lib.sampling import Sample
from pipeline.lib.signals import Verdict, verdict
from pipeline.lib.trained_answers import Answers, answer_hash, knows

MANIFEST = "dataset.json"
_Record = TypeVar("_Record", Rewrite, Interaction)
_EXAM = "stands in the hold-out or among the canary tasks"
_HIDDEN = "is hidden this week, for the canary"
_LIKED = "the answer it replaces has been called good since"


def build_dataset(settings: Settings, run: str, dry_run: bool) -> dict[str, Any]:
    """Build the dataset of a run.

    Args:
        settings: how many rows it takes, how much replay, what one person may contribute.
        run: names the folder.
        dry_run: only count.

    Raises:
        NothingToDo: fewer new rewrites than `dataset.min_failures_to_train`; they are kept for another night.
        BadRecordError: a file of ours cannot be read.
    """
    layout = settings.layout
    holdout = list(questions.read_holdout(settings))
    exam = [row["messages"] for row in [*holdout, *questions.read_canary(settings)]]
    latest, dropped = _latest(harvests.rewrites(layout), settings.harvest.quality_threshold)
    replay = Sample[Interaction](round(settings.dataset.replay * len(latest)), settings.dataset.seed)
    mix = Mix(layout.patterns, time.time())
    asked = {questions.key({"messages": each}) for each in exam}
    trained = generations.incumbent(layout).trained_answers
    hidden, liked = _from_sources(settings, asked, latest, trained, replay, mix)
    removed: Counter[str] = Counter()
    candidates = [_replayed(each) for each in _clean(replay.items(), settings, removed)]
    candidates += [_replayed(each) for each in _rehearsed(settings, latest)]
    candidates += [_rewritten(each) for each in _clean(latest.values(), settings, removed)]
    hidden = _clean(hidden, settings, removed)
    sieve = _sieve(settings, candidates, liked, exam, [each.messages for each in hidden])
    dropped += [_dropped(each.interaction_id, each.messages, reason) for each, reason in sieve.dropped]
    rewrites = [each.record for each in sieve.kept if isinstance(each.record, Rewrite)]
    good = [each.record for each in sieve.kept if isinstance(each.record, Interaction)]

    new = sum(not knows(trained, rewrite.interaction_id, answer_hash(rewrite.output)) for rewrite in rewrites)
    counts: dict[str, Any] = {
        "new": new,
        "rewrites": len(rewrites),
        "dropped": dict(Counter(row["reason"] for row in dropped)),
        "removed": dict(removed),
    }
    needed = settings.dataset.min_failures_to_train
    if new < needed:
        raise NothingToDo(
            f"{new} new rewrites, {needed} needed; they are kept", "dataset.min_failures_to_train lowers it"
        )
    counts |= {
        "replay": len(good),
        "rehearsed": sum(each.source == REHEARSAL for each in good),
        "holdout": len(holdout),
        "hidden": len(hidden),
        "rows": len(rewrites) + len(good),
    }
    if dry_run:
        return {"dry_run": True, **counts}
    tables = {
        **formats.tables(rewrites, good),
        "provenance.jsonl": [_provenance(each) for each in sieve.kept],
        "holdout.jsonl": holdout,
        "dropped.jsonl": dropped,
        questions.HIDDEN: [{"id": each.id, "messages": each.messages, "check": each.check} for each in hidden],
    }
    return {**_publish(settings, run, counts, tables), **counts}


def _clean(records: Iterable[_Record], settings: Settings, removed: Counter[str]) -> list[_Record]:
    """Without secrets and personal data; what a harvest has cleaned already stays as it is."""
    records = list(records)
    rows = [record.model_dump() for record in records]
    clean, gone = Scrubbing(settings.hygiene)(rows)
    removed.update(gone)
    return [
        record if same is row else type(record).model_validate(same)
        for record, row, same in zip(records, rows, clean, strict=True)
    ]


def _sieve(
    settings: Settings,
    candidates: list[Candidate],
    liked: set[str],
    exam: list[list[Message]],
    hidden: list[list[Message]],
) -> Sieve:
    """Everything that may not be trained on taken out."""
    sieve = Sieve(candidates)
    sieve.exclude(exclusions.read(settings.layout))
    sieve.exclude(Exclusions({}, dict.fromkeys(liked, _LIKED)))
    sieve.protect(Exam(exam, _EXAM))
    sieve.protect(Exam(hidden, _HIDDEN))
    sieve.merge()
    sieve.limit(Limits(settings.dataset.user_share, settings.dataset.user_rows, tokens.counter(settings)))
    return sieve


def _latest(rewrites: Iterable[Rewrite], threshold: float) -> tuple[dict[str, Rewrite], list[Row]]:
    """Rewrites that are good enough, by question; of equal questions the latest is the one that stays."""
    kept: dict[str, Rewrite] = {}
    dropped: list[Row] = []

    def drop(rewrite: Rewrite, reason: str) -> None:
        dropped.append(_dropped(rewrite.interaction_id, rewrite.messages, reason))

    for rewrite in rewrites:
        if rewrite.quality_score < threshold:
            drop(rewrite, "quality under the threshold")
        elif not rewrite.output.strip():
            drop(rewrite, "empty answer")
        else:
            key = questions.key({"messages": rewrite.messages})
            if earlier := kept.pop(key, None):
                drop(earlier, "the same question has a later rewrite")
            kept[key] = rewrite
    return kept, dropped


def _from_sources(
    settings: Settings,
    exam: set[str],
    rewritten: dict[str, Rewrite],
    trained: Answers,
    replay: Sample[Interaction],
    mix: Mix,
) -> tuple[list[Interaction], set[str]]:
    """One pass over everything recorded: offers good answers for replay, those first that are like what is hard.

    Returns:
        This week's hidden questions, without those that were asked before and have been rewritten or trained on: they
        would say how well it remembers; and the interactions that were rewritten, but have been called good since by
        something that counts for more than what had called them bad.
    """
    hidden: dict[str, Interaction] = {}
    known: set[str] = set()  # hashes of questions, of which there are as many as were trained on
    liked: set[str] = set()
    weights = {rewrite.interaction_id: rewrite.weight for rewrite in rewritten.values()}
    now, share, group = time.time(), settings.dataset.hidden_share, settings.dataset.hidden_by
    for row in _everything(settings):
        said = verdict(row)
        good = _called_good(said)
        if good and said is not None and said.weight > weights.get(row["id"], 1.0):
            liked.add(row["id"])
        if row["id"] in trained:
            known.add(content_id(questions.key(row)))
        hide = questions.is_hidden(row, share, row["at"], now, group) and checks.usable(row.get("check"))
        if not good and not hide:
            continue
        try:
            interaction = Interaction.model_validate(row)
        except ValidationError:
            continue  # harvest has counted it
        key = questions.key(row)
        if key in exam:
            continue
        if hide:
            hidden[key] = interaction
        elif key not in rewritten:
            replay.offer(key, interaction, mix.weight(interaction.question))
    unseen = [each for key, each in hidden.items() if key not in rewritten and content_id(key) not in known]
    return unseen, liked


def _rehearsed(settings: Settings, rewritten: dict[str, Rewrite]) -> list[Interaction]:
    """Some of what the base could do before it was taught anything."""
    size = round(settings.dataset.rehearsal_share * len(rewritten))
    sample = Sample[Interaction](size, settings.dataset.seed)
    for interaction in rehearsed(settings):
        key = questions.key({"messages": interaction.messages})
        if key not in rewritten:
            sample.offer(key, interaction)
    return sample.items()


def _everything(settings: Settings) -> Iterable[Row]:
    """Every interaction of every source that can be read; harvest says which cannot."""
    for source in configured(settings):
        try:
            yield from source.rows(0, float("inf"), Problems())
        except NightschoolError as error:
            logger.warning("%s: %s", source.name, error)


def _called_good(said: Verdict | None) -> bool:
    """Whether somebody or something called the answer good, and nobody disliked it."""
    return said is not None and not said.failed and not {"thumbs_down", "error"} & set(said.overruled)


def _rewritten(rewrite: Rewrite) -> Candidate:
    return Candidate(rewrite.interaction_id, rewrite.messages, rewrite.output, rewrite.user, rewrite.weight, rewrite)


def _replayed(interaction: Interaction) -> Candidate:
    return Candidate(interaction.id, interaction.messages, interaction.answer, interaction.user, 0.0, interaction)


def _provenance(candidate: Candidate) -> Row:
    record = candidate.record
    rewritten = isinstance(record, Rewrite)
    return {
        "interaction_id": candidate.interaction_id,
        "user": candidate.person,
        "source": record.source,
        "origin": "rewrite" if rewritten else "replay",
        "signal": record.signal if rewritten else None,
        "weight": candidate.weight,
        "verified_by": record.verified_by if rewritten else None,
        "at": record.at,
    }


def _dropped(identity: str, messages: list[Message], reason: str) -> Row:
    return {"interaction_id": identity, "instruction": messages[-1]["content"], "reason": reason}


def _publish(settings: Settings, run: str, counts: dict[str, Any], tables: dict[str, list[Row]]) -> dict[str, str]:
    def fill(temporary: Path) -> None:
        for name, rows in tables.items():
            jsonl.write(temporary / name, rows)
        write_bytes(temporary / formats.CARD, formats.card({"run": run, **counts}, tables).encode())
        hashes = {name: sha256(temporary / name) for name in (*tables, formats.CARD)}
        manifest = {"run": run, **counts, "sha256": hashes, "config": settings.dataset.model_dump()}
        write_json(temporary / MANIFEST, manifest)

    folder = settings.layout.dataset(run)
    publish_folder(folder, fill)
    return {"run": run, "dataset": str((folder / MANIFEST).relative_to(settings.home))}
