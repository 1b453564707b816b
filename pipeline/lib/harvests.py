"""The harvest files of `training_data/`: which there are, and what stands in them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pipeline.lib import exclusions, jsonl
from pipeline.lib.errors import BadRecordError
from pipeline.lib.files import read_json
from pipeline.lib.layout import Layout
from pipeline.lib.records import Failure, Record, Rewrite

_UNSOLVED = ".unsolved.jsonl"
_DAYS = 7  # files of failures that a harvest goes back: what it had no time for waits that long
_Record = TypeVar("_Record", bound=Record)


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


def failures(layout: Layout, until: float) -> Iterator[Failure]:
    """The failures of this day and of the week before it, the newest file first; each once.

    Raises:
        BadRecordError: a line is no failure (file and line named).
    """
    last = of_day(layout, datetime.fromtimestamp(until, UTC)).failures.name
    files = [
        path for path in sorted(layout.training_data.glob("failures_????????.jsonl"), reverse=True) if path.name <= last
    ]
    seen: set[str] = set()
    for path in files[:_DAYS]:
        for failure in _records(path, Failure):
            if failure.id not in seen:
                seen.add(failure.id)
                yield failure


def rewrites(layout: Layout) -> Iterator[Rewrite]:
    """Every rewrite of every harvest, oldest file first.

    Raises:
        BadRecordError: a line is no rewrite (file and line named).
    """
    for path in sorted(layout.training_data.glob("harvest_*.jsonl")):
        if path.name.endswith(_UNSOLVED):
            continue
        yield from _records(path, Rewrite)


def _records(path: Path, kind: type[_Record]) -> Iterator[_Record]:
    for number, record in jsonl.read_numbered(path):
        try:
            yield kind.model_validate(record)
        except ValueError as error:
            raise BadRecordError(f"{path} line {number}: {str(error).splitlines()[0]}", "mend that line") from error


def rows_of(layout: Layout, users: Collection[str]) -> Iterator[str]:
    """Interactions of people that became rows, as far as harvests and datasets remember."""
    if not users:
        return
    yield from (each.interaction_id for each in rewrites(layout) if each.user in users)
    for path in sorted(layout.training_data.glob("[0-9]*/provenance.jsonl")):
        yield from (str(row["interaction_id"]) for row in jsonl.read(path) if row["user"] in users)


def excluded(layout: Layout) -> set[str]:
    """Interactions that have been revoked, or are in quarantine: by themselves, or with all of a person's."""
    found = exclusions.read(layout)
    return {*found.interactions, *rows_of(layout, found.users)}


def unsolved(layout: Layout) -> Iterator[dict[str, Any]]:
    """Every failure that a teacher could not fix, oldest file first."""
    for path in sorted(layout.training_data.glob(f"harvest_*{_UNSOLVED}")):
        yield from jsonl.read(path)


def tried(layout: Layout) -> set[str]:
    """Interactions that some teacher has worked on, whatever came of it."""
    return {str(record["interaction_id"]) for record in unsolved(layout)}


def decided(layout: Layout, teacher: str, samples: int) -> dict[str, tuple[float, float]]:
    """Interactions that have a rewrite, or that this very teacher could not fix with so many drafts, in any harvest.

    With what was known of the failure then (`records.Failure.news`): somebody may say more about it later. Where a
    teacher or judge who was to be heard did not answer (`waits`), it is not decided.
    """
    failed = (each for each in unsolved(layout) if each["teacher"] == teacher and _drawn(each, samples))
    return _news(layout, failed)


def decided_by_anybody(layout: Layout) -> dict[str, tuple[float, float]]:
    """Like `decided`, whoever the teacher was and however many drafts there were."""
    return _news(layout, unsolved(layout))


def _news(layout: Layout, failed: Iterable[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    known = {
        str(record["interaction_id"]): (float(record.get("weight", 1.0)), float(record.get("said_at", "inf")))
        for record in failed
        if not record.get("waits")
    }
    for rewrite in rewrites(layout):
        news = (rewrite.weight, rewrite.said_at)
        known[rewrite.interaction_id] = max(news, known.get(rewrite.interaction_id, news))
    return known


def _drawn(record: dict[str, Any], samples: int) -> bool:
    """Whether as many drafts were drawn as there might have been."""
    allowed = int(record.get("samples", samples))
    return int(record["votes"].get("cast", allowed)) >= allowed


def last_read(layout: Layout) -> dict[str, float]:
    """When each source was read last: the end of the latest harvest's window in which it could be.

    By its place, for several may have the same name; older harvests, which did not note places, give it by its name.
    """
    until: dict[str, float] = {}
    for path in layout.training_data.glob("harvest_*.json"):
        manifest = read_json(path)
        for source in manifest.get("rows", {}):
            if source not in manifest.get("unreadable", {}):
                place = manifest.get("places", {}).get(source, source)
                until[place] = max(float(manifest["until"]), until.get(place, 0.0))
    return until
