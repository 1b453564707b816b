"""What was tried against the failures of past nights: `training_data/patterns.jsonl`.

reads, appends  `{"kind": "pattern", "id", "label", "size", "words"}`   a shape of questions, before its first attempt
                `{"kind": "attempt", "pattern", "category", "model", "temperature", "top_p", "samples", "drafts",
                "accepted", "first", "solved", "failure", "at", "run", "by"}`   one failure, decided by one teacher

`solved` means that the answer passed the task's own check, and often enough to be kept: never that it only ran.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.evolution.categories import CATEGORIES
from pipeline.evolution.patterns import Pattern
from pipeline.lib import jsonl
from pipeline.lib.problems import Problems

_CATEGORIES = frozenset(CATEGORIES)
_MOST = 1_000_000  # drafts, samples
_LAST = 253_402_300_800.0  # seconds since 1970: the end of the year 9999


@dataclass(frozen=True, slots=True)
class Strategy:
    """How drafts are drawn, how many at most, and which teacher's turn each is (none: round and round)."""

    temperature: float
    top_p: float
    samples: int
    turns: tuple[str, ...] = ()

    @property
    def arm(self) -> tuple[float, float]:
        """How they are drawn, without how many."""
        return self.temperature, self.top_p


class Attempt(NamedTuple):
    """One failure, decided by one teacher.

    `samples` is what it might have drawn, `drafts` what it drew, `accepted` how many of them passed the task's own
    check, and the `first` that did was the first-th (0: none). `category` is that of the bad answer's error; `at` is in
    seconds since 1970, `run` the night. Where the teacher is several models, `by` has for each that drafted how many
    drafts were its own, and how many of them were accepted.
    """

    pattern: str
    category: str
    model: str
    temperature: float
    top_p: float
    samples: int
    drafts: int
    accepted: int
    first: int
    solved: bool
    failure: str
    at: float
    run: str | None
    by: Mapping[str, Sequence[int]] | None = None

    @property
    def key(self) -> tuple[str, str, float]:
        """What makes two lines the same attempt."""
        return self.failure, self.model, self.at


_FIELDS = itemgetter(*Attempt._fields[:-1])  # `by` may be missing
_NUMBER, _TEXT = (int, float), (str,)
_TYPES: tuple[tuple[type, ...], ...] = (
    *(_TEXT, _TEXT, _TEXT),
    *(_NUMBER, _NUMBER),
    *((int,), (int,), (int,), (int,), (bool,)),
    *(_TEXT, _NUMBER, (str, type(None))),
)


@dataclass(slots=True)
class History:
    """Everything known, each attempt once."""

    patterns: dict[str, Pattern] = field(default_factory=dict)
    attempts: dict[tuple[str, str, float], Attempt] = field(default_factory=dict)

    def add(self, record: Mapping[str, Any]) -> bool:
        """Take a line; false: it is known already.

        Raises:
            ValueError: it is neither a pattern nor an attempt.
        """
        if record.get("kind") == "attempt":
            attempt = _attempt(record)
            if (key := attempt.key) in self.attempts:
                return False
            self.attempts[key] = attempt
            return True
        if record.get("kind") == "pattern":
            pattern = _pattern(record)
            new = pattern.id not in self.patterns
            self.patterns.setdefault(pattern.id, pattern)
            return new
        raise ValueError(f"kind {record.get('kind')!r} is neither pattern nor attempt")


def read(path: Path, problems: Problems) -> History:
    """The history; a file that is not there has none. Lines that cannot be used are added to `problems`.

    They are no reason to stop a night: the history is advice.
    """
    history = History()
    if not path.exists():
        return history
    for number, record in enumerate(jsonl.read_tolerant(path, problems), start=1):
        try:
            history.add(record)
        except ValueError as error:
            problems.add(str(error), f"{path.name} record {number}")
    return history


def append(path: Path, patterns: Iterable[Pattern], attempts: Iterable[Attempt]) -> None:
    """Write down new patterns and attempts. It outlives this process; a power cut may cost the last lines.

    Raises:
        DiskError: the disk is full or refuses.
    """
    jsonl.append(path, lines(patterns, attempts), durable=False)


def lines(patterns: Iterable[Pattern], attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """The lines of a file, patterns first."""
    return [
        {"kind": "pattern", "id": each.id, "label": each.label, "size": each.size, "words": sorted(each.words)}
        for each in patterns
    ] + [_line(each) for each in attempts]


def first_accepted(drafts: int, accepted: int) -> int:
    """Where the first accepted one of so many drafts is to be expected, as a vote does not tell it; 0: none was."""
    return -(-(drafts + 1) // (accepted + 1)) if accepted else 0


def _line(attempt: Attempt) -> dict[str, Any]:
    line = {"kind": "attempt", **attempt._asdict()}
    return line if attempt.by else {name: value for name, value in line.items() if name != "by"}


def _attempt(record: Mapping[str, Any]) -> Attempt:
    """By hand: a model of pydantic takes four times as long, and a year of nights is half a million lines."""
    try:
        made = Attempt._make((*_FIELDS(record), _by(record)))
    except KeyError as error:
        raise ValueError(f"an attempt without {error.args[0]}") from None
    if not _fit(tuple(map(type, made[:-1]))):
        raise ValueError("an attempt with a field of another type")
    possible = (
        made.category in _CATEGORIES
        and 0 < made.temperature <= _MOST
        and 0 < made.top_p <= 1
        and 0 <= made.accepted <= made.drafts <= _MOST
        and (0 < made.first <= made.drafts if made.accepted else made.first == 0)
        and 0 <= made.samples <= _MOST
        and abs(made.at) <= _LAST
    )
    if not possible:
        raise ValueError("an attempt with a value that cannot be")
    if made.solved and not made.accepted:
        raise ValueError("an attempt that is solved, though no draft passed its check")
    return made


def _by(record: Mapping[str, Any]) -> Mapping[str, Sequence[int]] | None:
    by = record.get("by")
    if by is None:
        return None
    if not isinstance(by, dict) or not all(isinstance(pair, list) and _counts(pair) for pair in by.values()):
        raise ValueError("an attempt with a value that cannot be")
    return by


def _counts(pair: list[Any]) -> bool:
    """Whether it is `[drafts, accepted]`."""
    if len(pair) != 2 or any(type(each) is not int for each in pair):
        return False
    drafts, accepted = pair
    return bool(0 <= accepted <= drafts <= _MOST)


@cache
def _fit(types: tuple[type, ...]) -> bool:
    """Whether values of these types may stand in an attempt; there are few combinations."""
    return all(given in wanted for given, wanted in zip(types, _TYPES, strict=True))


def _pattern(record: Mapping[str, Any]) -> Pattern:
    label, size, words = record.get("label"), record.get("size"), record.get("words")
    if not isinstance(label, str) or not isinstance(size, int) or not isinstance(words, list):
        raise ValueError("a pattern without label, size or words")
    if not -1 <= size <= 64 or not all(isinstance(word, str) for word in words):
        raise ValueError("a pattern of impossible size or words")
    pattern = Pattern(label, size, frozenset(words))
    if record.get("id", pattern.id) != pattern.id:
        raise ValueError("a pattern whose id does not belong to its words")
    return pattern
