"""versions explain: from one interaction to the generations that learned from it, and what became of them.

reads   the interaction log, every harvest, the datasets, `loras/`, the ledger
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.backends.sources.own_log import OwnLog
from pipeline.lib import generations, harvests, jsonl, lineage
from pipeline.lib.config import Settings
from pipeline.lib.generations import PROMOTED, Generation
from pipeline.lib.identities import beginning, only
from pipeline.lib.layout import Layout
from pipeline.lib.records import Interaction, failure_signal

Row = dict[str, Any]


def explain(settings: Settings, identity: str) -> Row:
    """The lineage of one interaction.

    Args:
        settings: where everything is.
        identity: the interaction's id as the answer carried it, or a unique beginning of it.

    Raises:
        UsageError: too short, unknown, or the beginning of several.
        BadRecordError: a file cannot be read.
    """
    layout = settings.layout
    wanted = beginning(identity)
    logged = [each for each in _logged(layout) if each.id.startswith(wanted)]
    rewrites = [each for each in harvests.rewrites(layout) if each.interaction_id.startswith(wanted)]
    unsolved = [row for row in harvests.unsolved(layout) if str(row["interaction_id"]).startswith(wanted)]
    datasets = [row for row in _dataset_rows(layout) if row["interaction_id"].startswith(wanted)]
    trained = [
        (each, found)
        for each in generations.all_complete(layout)
        if (found := {known for known in each.interaction_ids if known.startswith(wanted)})
    ]
    known = {each.id for each in logged} | {each.interaction_id for each in rewrites}
    known |= {str(row["interaction_id"]) for row in [*unsolved, *datasets]}.union(*(found for _, found in trained))
    return {
        "id": only(identity, known),
        "interaction": _told(logged[0]) if logged else None,
        "rewrites": [each.model_dump(exclude={"messages", "check", "interaction_id"}) for each in rewrites],
        "unsolved": [{key: row.get(key) for key in ("signal", "reason", "teacher", "at")} for row in unsolved],
        "datasets": [{key: value for key, value in row.items() if key != "interaction_id"} for row in datasets],
        "generations": [_fate(layout, generation) for generation, _ in trained],
    }


def _logged(layout: Layout) -> Iterable[Interaction]:
    return OwnLog(layout.interactions).interactions(0, float("inf"))


def _dataset_rows(layout: Layout) -> Iterator[Row]:
    """What every complete dataset did with its interactions: a row to learn from, or left out with a reason."""
    for manifest in sorted(layout.training_data.glob("[0-9]*/dataset.json")):
        for name, used in (("sft.jsonl", True), ("dropped.jsonl", False)):
            for row in jsonl.read(manifest.parent / name):
                yield {
                    "run": manifest.parent.name,
                    "interaction_id": str(row["interaction_id"]),
                    "used": used,
                    "reason": row.get("origin") if used else row["reason"],
                }


def _told(interaction: Interaction) -> Row:
    feedback = interaction.feedback
    return {
        "at": interaction.at,
        "question": interaction.question,
        "answer": interaction.answer,
        "adapter": interaction.adapter,
        "signal": failure_signal(interaction),
        "error": interaction.error,
        "feedback": feedback.model_dump(exclude_none=True, exclude={"check"}) if feedback else None,
    }


def _fate(layout: Layout, generation: Generation) -> Row:
    """What became of a generation: judged, promoted, given up, current."""
    swaps = lineage.history(layout, generation.base_sha256)
    verdict = generations.verdict(generation) or {}
    return {
        "id": generation.id,
        "verdict": verdict.get("outcome"),
        "reason": verdict.get("reason"),
        "promoted": any(swap["to"] == generation.id and swap["reason"] == PROMOTED for swap in swaps),
        "rolled_back": any(swap["from"] == generation.id and swap["reason"] != PROMOTED for swap in swaps),
        "current": generations.incumbent(layout).id == generation.id,
    }
