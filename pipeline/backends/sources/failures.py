"""From everything that was recorded to what failed: each question once, in bounded memory.

Rows stream by in batches; what failed is spooled to a file. Of equal questions (normalised, with everything said
before) the one with the strongest signal stays, of equally strong ones the first; a table that may outgrow memory
remembers which.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import orjson
from pydantic import ValidationError

from pipeline.backends.executors.interface import Executor
from pipeline.backends.sources.interface import Row, Source
from pipeline.lib.errors import NightschoolError
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems
from pipeline.lib.questions import key
from pipeline.lib.records import Interaction
from pipeline.lib.scratch import scratch
from pipeline.lib.signals import verdict

SAME_QUESTION = "the same question failed with a stronger or an earlier signal"
_TABLE = "CREATE TABLE best (question INTEGER PRIMARY KEY, weight REAL, number INTEGER)"
_KEEP = """
    INSERT INTO best VALUES (?, ?, ?) ON CONFLICT (question)
    DO UPDATE SET weight = excluded.weight, number = excluded.number WHERE excluded.weight > best.weight
"""
_BATCH = 500  # rows
_REMEMBERED = 2000  # sessions, those that spoke last
_REGENERATED = "regenerated"


@dataclass(slots=True)
class Found:
    """What the reading brought to light, besides the failures themselves."""

    rows: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)  # where the sources are, by their names
    signals: Counter[str] = field(default_factory=Counter)
    overruled: Counter[str] = field(default_factory=Counter)
    problems: dict[str, Problems] = field(default_factory=dict)
    unreadable: dict[str, NightschoolError] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the harvest's manifest."""
        return {
            "rows": dict(self.rows),
            "places": self.places,
            "signals": dict(self.signals),
            "overruled": dict(self.overruled),
            "problems": {name: each.to_json() for name, each in self.problems.items() if each.count},
            "unreadable": {name: str(error) for name, error in self.unreadable.items()},
        }


@dataclass(frozen=True, slots=True)
class Selected:
    """What failed in a batch."""

    failed: list[Row]
    overruled: list[str]
    problems: list[tuple[str, str]]


def failures(
    sources: Sequence[tuple[Source, float]], until: float, executor: Executor, found: Found
) -> Iterator[tuple[Row, bool]]:
    """Every failure of the window as a row, and whether it is the one of its question that stays.

    A row is an interaction with its `verdict`: {signal, weight, agreeing, overruled}. A source that cannot be read is
    noted in `found`, and the others go on.

    Args:
        sources: each with the beginning of its window, seconds since 1970.
        until: the end of all windows.
        executor: where rows are judged.
        found: takes the counts.

    Raises:
        NightschoolError: not a single source could be read; the error of the first.
    """
    with tempfile.TemporaryFile() as spool, scratch(_TABLE) as best:
        count = 0
        for failed in _failed(sources, until, executor, found):
            best.executemany(
                _KEEP,
                [(_digest(row), row["verdict"]["weight"], number) for number, row in enumerate(failed, start=count)],
            )
            spool.write(b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in failed]))
            count += len(failed)
        if found.unreadable and len(found.unreadable) == len(sources):
            raise next(iter(found.unreadable.values()))
        spool.seek(0)
        kept = (number for (number,) in best.execute("SELECT number FROM best ORDER BY number"))
        yield from _marked(spool, kept)


def _marked(spool: IO[bytes], kept: Iterator[int]) -> Iterator[tuple[Row, bool]]:
    following = next(kept, None)
    for number, line in enumerate(spool):
        stays = number == following
        if stays:
            following = next(kept, None)
        yield orjson.loads(line), stays


def _failed(
    sources: Sequence[tuple[Source, float]], until: float, executor: Executor, found: Found
) -> Iterator[list[Row]]:
    for source, since in sources:
        problems = found.problems[source.name] = Problems()
        try:
            suspects = _suspects(source.rows(since, until, problems), source.name, found)
            for selected in executor.map(select, _batches(suspects)):
                found.overruled.update(selected.overruled)
                found.signals.update(row["verdict"]["signal"] for row in selected.failed)
                for reason, place in selected.problems:
                    problems.add(reason, place)
                yield selected.failed
        except NightschoolError as error:
            logger.warning("%s: %s", source.name, error)
            found.unreadable[source.name] = error


def _suspects(rows: Iterator[Row], name: str, found: Found) -> Iterator[Row]:
    """Rows that may have failed, and once more those whose answers were not wanted.

    That is: the next question of the same session was the same one, and got another answer. Most rows end here, so
    this looks at as little as it can.
    """
    last: dict[str, Row] = {}
    count = 0
    try:
        for row in rows:
            count += 1
            if session := row.get("session"):
                earlier = last.pop(session, None)
                last[session] = row
                if earlier is None:
                    if len(last) > _REMEMBERED:
                        del last[next(iter(last))]
                elif earlier["messages"] == row["messages"] and earlier["answer"] != row["answer"]:
                    said = verdict(earlier)
                    if said is None or not said.failed:  # else it has gone by as a failure
                        yield {**earlier, _REGENERATED: True}
            if not row.get("success") or row.get("feedback"):
                yield row
    finally:
        found.rows[name] += count


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def select(batch: Sequence[Row]) -> Selected:
    """The rows of a batch that failed, each with its verdict; needs nothing but the rows."""
    failed: list[Row] = []
    overruled: list[str] = []
    problems: list[tuple[str, str]] = []
    for row in batch:
        said = verdict(row, row.pop(_REGENERATED, False))
        if said is None:
            continue
        overruled += said.overruled
        if not said.failed:
            continue
        try:
            Interaction.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
            problems.append((reason, f"interaction {row.get('id')}"))
            continue
        failed.append({**row, "verdict": {**said._asdict(), "weight": said.weight}})
    return Selected(failed, overruled, problems)


def _digest(row: Row) -> int:
    """64 bits: of ten million questions two share theirs by chance in one case of 400,000."""
    return int.from_bytes(hashlib.blake2b(key(row).encode(), digest_size=8).digest(), "big", signed=True)
