"""Which questions are of the same shape: patterns of words and length. Pure.

A question is taken apart into words, where every number is `N`, every quoted text `"…"`, and for the comparison every
sign the same sign. Questions are of one pattern when they are about equally long (in steps of the square root of two:
long ones are harder) and share half of their words. A pattern is made when several questions show it; its words are
those that most of them have, so that what varies (a name, a place) is no part of it and never written down.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.lib.records import content_id
from pipeline.lib.text import normalize

_Item = TypeVar("_Item")

NUMBER, QUOTED, SIGN, GAP = "N", '"…"', "±", "…"

_MOST = 200  # patterns at once
_FEWEST = 3  # questions that make a pattern
_SIMILAR = 0.5  # share of the words of both
_LONGEST = 2000  # characters of a question that are looked at
_SHOWN = 12  # words of a label

# Bounded, for a question may be nothing but opening quotes.
_QUOTED_TEXT = "|".join(
    rf"{opening}[^{closing}\n]{{0,300}}{closing}" for opening, closing in ('""', "“”", "„“", "«»", "``")
)
_QUOTED_TEXT += r"|(?<!\w)'[^'\n]{0,300}'(?!\w)"  # no apostrophe
_NO_SPACES = r"\u3040-\u30ff\u3400-\u9fff"  # scripts in which every character is a word
_PART = re.compile(
    rf"(?P<quoted>{_QUOTED_TEXT})|(?P<number>\d(?:[\d.,:]*\d)?[a-z]*)"
    rf"|(?P<word>[{_NO_SPACES}]|[^\W\d][^\W{_NO_SPACES}]*)|(?P<sign>[^\w\s])"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A question taken apart: its words in order, signs as they are written."""

    parts: tuple[str, ...]

    @property
    def size(self) -> int:
        """The step of its length: 2 · log₂ of the number of words, rounded down; -1 of an empty question."""
        return (len(self.parts) ** 2).bit_length() - 1

    @property
    def words(self) -> frozenset[str]:
        """What is compared."""
        return frozenset(_compared(part) for part in self.parts)


def shape(text: str) -> Shape:
    """Take a question apart."""
    parts = []
    for match in _PART.finditer(normalize(text[:_LONGEST])):
        kind = match.lastgroup
        parts.append(NUMBER if kind == "number" else QUOTED if kind == "quoted" else match[0])
    return Shape(tuple(parts))


def _compared(part: str) -> str:
    return part if part in (NUMBER, QUOTED) or part[0].isalnum() or part[0] == "_" else SIGN


@dataclass(frozen=True, slots=True)
class Pattern:
    """Questions of one shape. Without words: whatever else has that length."""

    label: str
    size: int
    words: frozenset[str]

    @property
    def id(self) -> str:
        """The same for the same words and length, whoever found it."""
        return content_id(self.size, sorted(self.words))[:12]

    @property
    def length(self) -> str:
        """The number of words of its questions, such as `8–11`."""
        if self.size < 0:
            return "0"
        first, last = math.isqrt(2**self.size - 1) + 1, math.isqrt(2 ** (self.size + 1) - 1)
        return str(first) if first == last else f"{first}–{last}"


def anything_else(size: int) -> Pattern:
    """The pattern of questions that have no other one."""
    return Pattern("anything else", size, frozenset())


@dataclass(slots=True)
class _Candidate:
    """A question that may have been the first of a pattern, and how many of its words came again."""

    shape: Shape
    words: frozenset[str]
    questions: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def join(self, words: frozenset[str]) -> None:
        self.questions += 1
        self.seen.update(self.words & words)

    def pattern(self) -> Pattern:
        core = frozenset(word for word in self.words if 2 * self.seen[word] >= self.questions)
        return Pattern(_label(self.shape, core), self.shape.size, core)


class Catalogue:
    """The patterns that are known, and the ones that a night's questions add."""

    def __init__(self, known: Iterable[Pattern] = (), most: int = _MOST) -> None:
        """Start with known patterns, the most important first; not more than three quarters of `most` are kept.

        Args:
            known: from the history.
            most: patterns at once.
        """
        self._most = most
        self._by_size: dict[int, list[tuple[frozenset[str], Pattern]]] = {}
        self._known: dict[str, Pattern] = {}
        for pattern in known:
            if 4 * len(self._known) < 3 * most:
                self._add(pattern)

    @property
    def patterns(self) -> list[Pattern]:
        """All of them, as they came."""
        return list(self._known.values())

    def of(self, text: str) -> Pattern:
        """The pattern of a question: the most similar one; of equally similar ones the one that was known first."""
        this = shape(text)
        found = _nearest(this.words, self._by_size.get(this.size, []))
        return anything_else(this.size) if found is None else found

    def learn(self, texts: Iterable[str]) -> list[Pattern]:
        """Find new patterns in questions that no known one describes, in one pass and bounded memory.

        Returns: the new ones, those of most questions first. Which are found depends on the order of the questions.
        """
        candidates: dict[int, list[tuple[frozenset[str], _Candidate]]] = {}
        count = 0
        for text in texts:
            this = shape(text)
            words, size = this.words, this.size
            if not words or _nearest(words, self._by_size.get(size, [])) is not None:
                continue
            candidate = _nearest(words, candidates.get(size, []))
            if candidate is None:
                if count >= 4 * self._most:
                    continue
                count += 1
                candidate = _Candidate(this, words)
                candidates.setdefault(size, []).append((words, candidate))
            candidate.join(words)
        return self._found([each for group in candidates.values() for _, each in group])

    def _found(self, candidates: list[_Candidate]) -> list[Pattern]:
        found = sorted(
            ((each.questions, each.pattern()) for each in candidates if each.questions >= _FEWEST),
            key=lambda each: (-each[0], each[1].size, each[1].label, each[1].id),
        )
        new = []
        for _, pattern in found:
            if len(self._known) < self._most and pattern.id not in self._known:
                self._add(pattern)
                new.append(pattern)
        return new

    def _add(self, pattern: Pattern) -> None:
        self._known[pattern.id] = pattern
        if pattern.words:
            self._by_size.setdefault(pattern.size, []).append((pattern.words, pattern))


def _nearest(words: frozenset[str], among: Iterable[tuple[frozenset[str], _Item]]) -> _Item | None:
    """The first of the most similar (Jaccard); none: nothing is similar enough."""
    best, nearest = _SIMILAR, None
    for theirs, item in among:
        common = len(words & theirs)
        similar = common / (len(words) + len(theirs) - common)
        if similar > best or (similar == best and nearest is None):
            best, nearest = similar, item
    return nearest


def _label(this: Shape, core: frozenset[str]) -> str:
    """The question without what varies, cut to a readable length."""
    words: list[str] = []
    for part in this.parts:
        shown = part if _compared(part) in core else GAP
        if shown != GAP or words[-1:] != [GAP]:
            words.append(shown)
    return " ".join(words[:_SHOWN] + [GAP] * (len(words) > _SHOWN and words[_SHOWN - 1] != GAP))
