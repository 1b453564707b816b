"""build-dataset: rewrites + replay → training rows.

reads   every harvest, the interaction log (for replay), the hold-out, the canary tasks
writes  `training_data/<run>/sft.jsonl`                 {messages, interaction_id}: TRL's conversational form
        `…/preferences.jsonl`, `…/unpaired.jsonl`       for DPO and KTO
        `…/alpaca.jsonl`, `…/prompt_completion.jsonl`   the same rows for other trainers (`pipeline/lib/formats.py`)
        `…/holdout.jsonl`, `…/dropped.jsonl`            never trained on; left out, each with its reason
        `…/hidden.jsonl`                                this week's questions that only the canary may see
        `…/README.md`                                   the card: what is in here, for people and for `datasets`
        `…/dataset.json`                                counts, hashes, configuration; last, so it makes all complete

A rewrite is *new* until a generation in the current lineage has been trained on it; rolling a generation back makes
its rows new again by itself.
"""

import random
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.sources.own_log import OwnLog
from pipeline.lib import formats, generations, harvests, jsonl, questions
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo
from pipeline.lib.files import publish_folder, sha256, write_bytes, write_json
from pipeline.lib.records import Interaction, Rewrite

Row = dict[str, Any]
MANIFEST = "dataset.json"


def build_dataset(settings: Settings, run: str, dry_run: bool) -> dict[str, Any]:
    """Build the dataset of a run.

    Args:
        settings: how many rows it takes, how much replay.
        run: names the folder.
        dry_run: only count.

    Raises:
        NothingToDo: fewer new rewrites than `dataset.min_failures_to_train`; they are kept for another night.
        BadRecordError: a file cannot be read.
    """
    layout = settings.layout
    holdout = list(questions.read_holdout(settings))
    forbidden = {questions.key(row) for row in [*holdout, *questions.read_canary(settings)]}
    hidden = _hidden(settings, forbidden)
    trained = generations.incumbent(layout).interaction_ids
    kept, dropped = _keep(harvests.rewrites(layout), forbidden, set(hidden), settings.harvest.quality_threshold)
    new = sum(rewrite.interaction_id not in trained for rewrite in kept)
    counts: dict[str, Any] = {
        "new": new,
        "rewrites": len(kept),
        "dropped": dict(Counter(row["reason"] for row in dropped)),
    }
    needed = settings.dataset.min_failures_to_train
    if new < needed:
        raise NothingToDo(
            f"{new} new rewrites, {needed} needed; they are kept", "dataset.min_failures_to_train lowers it"
        )
    replay = _replay(settings, forbidden | set(hidden), kept)
    counts |= {"replay": len(replay), "holdout": len(holdout), "hidden": len(hidden), "rows": len(kept) + len(replay)}
    if dry_run:
        return {"dry_run": True, **counts}

    folder = layout.dataset(run)
    tables = {
        **formats.tables(kept, replay),
        "holdout.jsonl": holdout,
        "dropped.jsonl": dropped,
        questions.HIDDEN: list(hidden.values()),
    }

    def fill(temporary: Path) -> None:
        for name, rows in tables.items():
            jsonl.write(temporary / name, rows)
        write_bytes(temporary / formats.CARD, formats.card({"run": run, **counts}, tables).encode())
        hashes = {name: sha256(temporary / name) for name in (*tables, formats.CARD)}
        manifest = {"run": run, **counts, "sha256": hashes, "config": settings.dataset.model_dump()}
        write_json(temporary / MANIFEST, manifest)

    publish_folder(folder, fill)
    return {"run": run, **counts, "dataset": str((folder / MANIFEST).relative_to(settings.home))}


def _hidden(settings: Settings, forbidden: set[str]) -> dict[str, Row]:
    """This week's questions that are kept from training, each with the check that came with it."""
    found: dict[str, Row] = {}
    now, share = time.time(), settings.dataset.hidden_share
    for interaction in OwnLog(settings.layout.interactions).interactions(0, float("inf")):
        row: Row = {"id": interaction.id, "messages": interaction.messages, "check": interaction.check}
        if checks.usable(interaction.check) and questions.is_hidden(row, share, interaction.at, now):
            key = questions.key(row)
            if key not in forbidden:
                found[key] = row
    return found


def _keep(
    rewrites: Iterable[Rewrite], forbidden: set[str], hidden: set[str], threshold: float
) -> tuple[list[Rewrite], list[Row]]:
    """The rewrites to train on, and what is left out. Of equal questions the latest rewrite is the one that stays."""
    kept: dict[str, Rewrite] = {}
    dropped: list[Row] = []

    def drop(rewrite: Rewrite, reason: str) -> None:
        dropped.append({"interaction_id": rewrite.interaction_id, "instruction": rewrite.instruction, "reason": reason})

    for rewrite in rewrites:
        key = questions.key({"messages": rewrite.messages})
        if key in forbidden:
            drop(rewrite, "stands in the hold-out or among the canary tasks")
        elif key in hidden:
            drop(rewrite, "hidden this week, for the canary")
        elif rewrite.quality_score < threshold:
            drop(rewrite, "quality under the threshold")
        elif not rewrite.output.strip():
            drop(rewrite, "empty answer")
        else:
            if key in kept:
                drop(kept[key], "the same question has a later rewrite")
            kept[key] = rewrite
    return list(kept.values()), dropped


def _replay(settings: Settings, forbidden: set[str], kept: list[Rewrite]) -> list[Interaction]:
    """A seeded sample of answers that somebody or something called good, one for each question."""
    taken = forbidden | {questions.key({"messages": rewrite.messages}) for rewrite in kept}
    good: dict[str, Interaction] = {}
    for interaction in OwnLog(settings.layout.interactions).interactions(0, float("inf")):
        said = interaction.feedback
        confirmed = said is not None and (said.success is True or said.thumb == 1) and said.thumb != -1
        key = questions.key({"messages": interaction.messages})
        if confirmed and not interaction.error and key not in taken:
            good[key] = interaction
    wanted = min(len(good), round(settings.dataset.replay * len(kept)))
    return random.Random(settings.dataset.seed).sample(list(good.values()), wanted)
