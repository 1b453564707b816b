"""versions compare: two versions, their numbers and their answers.

reads   `loras/*/generation.json`, `verdict.json`, `canary.jsonl`
"""

from typing import Any

from pipeline.lib import generations, side_by_side
from pipeline.lib.config import Settings
from pipeline.lib.errors import UsageError
from pipeline.lib.generations import Generation


def compare(settings: Settings, first: str, second: str, limit: int) -> dict[str, Any]:
    """Numbers and answers of both.

    Args:
        settings: where the generations are.
        first: an id, `base`, `current` or `latest`.
        second: likewise.
        limit: most answers to show; the counts are of all.

    Raises:
        UsageError: no such generation, or twice the same.
    """
    layout = settings.layout
    sides = [generations.read(layout, identity) for identity in (first, second)]
    if sides[0].id == sides[1].id:
        raise UsageError(f"{first} and {second} are the same version", "see `nightschool versions list`")
    rows = side_by_side.between(layout, *sides)
    right = [(row["first"]["passed"], row["second"]["passed"]) for row in rows]
    return {
        "first": _numbers(sides[0]),
        "second": _numbers(sides[1]),
        "questions": len(rows),
        "only_first_right": right.count((True, False)),
        "only_second_right": right.count((False, True)),
        "both_right": right.count((True, True)),
        "answers": rows[:limit],
    }


def _numbers(generation: Generation) -> dict[str, Any]:
    metrics = generation.manifest.get("metrics", {})
    return {
        **generations.summary(generation),
        "preset": generation.manifest.get("config", {}).get("preset"),
        **{name: metrics.get(name) for name in ("steps", "supervised_tokens", "loss")},
        "sha256": generation.sha256,
    }
