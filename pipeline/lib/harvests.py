"""The harvest files of `training_data/`: which there are, and what stands in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.errors import BadRecordError
from pipeline.lib.layout import Layout
from pipeline.lib.records import Rewrite

_UNSOLVED = ".unsolved.jsonl"


@dataclass(frozen=True, slots=True)
class HarvestFiles:
    """The files of one day's harvest."""

    failures: Path
    left_out: Path
    rewrites: Path
    unsolved: Path
    manifest: Path


def of_day(layout: Layout, day: datetime) -> HarvestFiles:
    """The files of one UTC day, whether they exist or not."""
    folder, date = layout.training_data, f"{day:%Y%m%d}"
    stem = folder / f"harvest_{date}"
    return HarvestFiles(
        folder / f"failures_{date}.jsonl",
        folder / f"failures_{date}.left_out.jsonl",
        stem.with_suffix(".jsonl"),
        stem.with_suffix(_UNSOLVED),
        stem.with_suffix(".json"),
    )


def rewrites(layout: Layout) -> Iterator[Rewrite]:
    """Every rewrite of every harvest, oldest file first.

    Raises:
        BadRecordError: a line is no rewrite (file and line named).
    """
    for path in sorted(layout.training_data.glob("harvest_*.jsonl")):
        if path.name.endswith(_UNSOLVED):
            continue
        for number, record in jsonl.read_numbered(path):
            try:
                yield Rewrite.model_validate(record)
            except ValueError as error:
                raise BadRecordError(f"{path} line {number}: {str(error).splitlines()[0]}", "mend that line") from error


def unsolved(layout: Layout) -> Iterator[dict[str, Any]]:
    """Every failure that a teacher could not fix, oldest file first."""
    for path in sorted(layout.training_data.glob(f"harvest_*{_UNSOLVED}")):
        yield from jsonl.read(path)


def tried(layout: Layout) -> set[str]:
    """Interactions that some teacher has worked on, whatever came of it."""
    return {str(record["interaction_id"]) for record in unsolved(layout)}


def decided(layout: Layout, teacher: str) -> dict[str, tuple[float, float]]:
    """Interactions that have a rewrite, or that this very teacher could not fix, in any harvest.

    With what was known of the failure then (`records.Failure.news`): somebody may say more about it later.
    """
    known = {
        str(record["interaction_id"]): (float(record.get("weight", 1.0)), float(record.get("said_at", "inf")))
        for record in unsolved(layout)
        if record["teacher"] == teacher
    }
    for rewrite in rewrites(layout):
        news = (rewrite.weight, rewrite.said_at)
        known[rewrite.interaction_id] = max(news, known.get(rewrite.interaction_id, news))
    return known
