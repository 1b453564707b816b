"""Texts as sets of hashed word triples, and what in a text must never be taken for a mere variation.

Similarity is Jaccard's over triples of words. Numbers and signs are not folded: `7 + 2` and `7 - 2`, or `route 66` and
`route 67`, share nearly all their words and are different questions, so each text also has a *signature*: its numbers
and signs, in their order. Texts with different signatures are never the same.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from pipeline.lib.text import normalize

if TYPE_CHECKING:
    from numpy import uint64
    from numpy.typing import NDArray

_WIDTH = 3  # words
_WORD = re.compile(r"\w+|[^\w\s]")
_PROSE = frozenset(".,;:!?'\"`…“”„‘’«»–—")  # says nothing about what is asked
_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)  # odd, so that each mixes without loss


@dataclass(frozen=True, slots=True)
class Shingled:
    """Texts as numbers. Text i has the triples `hashes[starts[i]:starts[i + 1]]`, repeated ones too."""

    hashes: "NDArray[uint64]"
    starts: "NDArray[Any]"
    signatures: "NDArray[uint64]"

    def triples(self, index: int) -> set[int]:
        """The distinct triples of one text."""
        return set(self.hashes[self.starts[index] : self.starts[index + 1]].tolist())


class _Hashes(dict[str, int]):
    """64 bits for each word, the same in every process."""

    def __missing__(self, word: str) -> int:
        number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
        self[word] = number
        return number


def shingled(texts: Sequence[str]) -> Shingled:
    """Normalise, split and hash; a text of fewer than three words has one triple."""
    import numpy

    hashes = _Hashes()
    rows, signatures = [], []
    for text in texts:
        words = _WORD.findall(normalize(text))
        row = [hashes[word] for word in words]
        rows.append(row + [0] * (_WIDTH - len(row)))
        # The tuple of hashes, not of words: its hash is the same in every process.
        signatures.append(hash(tuple([hashes[word] for word in words if _weighty(word)])) & 0xFFFFFFFFFFFFFFFF)
    lengths = numpy.fromiter(map(len, rows), dtype=numpy.int64, count=len(rows))
    flat = numpy.fromiter(chain.from_iterable(rows), dtype=numpy.uint64, count=int(lengths.sum()))
    count = max(0, len(flat) - _WIDTH + 1)
    triples = numpy.zeros(count, dtype=numpy.uint64)
    for offset, factor in enumerate(_FACTORS):
        triples += flat[offset : offset + count] * numpy.uint64(factor)
    ends = numpy.cumsum(lengths)
    inside = numpy.ones(count, dtype=bool)
    for back in range(1, _WIDTH):  # triples that would reach into the next text
        inside[(ends - back)[ends - back < count]] = False
    starts = numpy.concatenate(([0], numpy.cumsum(lengths - _WIDTH + 1)))
    return Shingled(triples[inside], starts, numpy.array(signatures, dtype=numpy.uint64))


def _weighty(word: str) -> bool:
    """Whether another word in its place would make it another question."""
    return not word.isalpha() and word not in _PROSE


def jaccard(one: set[int], other: set[int]) -> float:
    """The share of common triples."""
    common = len(one & other)
    return common / (len(one) + len(other) - common) if one or other else 1.0
