"""Questions that must not be trained on, and what comes too close to them.

A text leaks a protected one when it holds most of its word triples and has the same numbers and signs: the question
itself in other case, spacing or punctuation, wrapped in other words, or with a word exchanged. The protected questions
are few, so an index of their triples finds every such text; nothing is left to chance.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.hygiene.shingles import shingled

CONTAINED = 0.7  # share of a protected text's triples; one exchanged word in fifteen costs three of thirteen


class Protected:
    """A set of protected texts. Texts of fewer than three words are found only when they are equal."""

    def __init__(self, texts: Sequence[str]) -> None:
        data = shingled(texts)
        self._signatures: list[int] = data.signatures.tolist()
        self._sizes: list[int] = []
        self._texts_with: dict[int, list[int]] = {}
        for index in range(len(texts)):
            triples = data.triples(index)
            self._sizes.append(len(triples))
            for triple in triples:
                self._texts_with.setdefault(triple, []).append(index)

    def leaks(self, texts: Iterable[str]) -> list[int | None]:
        """For each text the index of the protected one that it gives away, or none."""
        texts = list(texts)
        if not self._sizes or not texts:
            return [None] * len(texts)
        data = shingled(texts)
        signatures: list[int] = data.signatures.tolist()
        return [self._leak(data.triples(index), signatures[index]) for index in range(len(texts))]

    def _leak(self, triples: set[int], signature: int) -> int | None:
        shared: Counter[int] = Counter()
        for triple in triples:
            for index in self._texts_with.get(triple, ()):
                if self._signatures[index] == signature:
                    shared[index] += 1
        return next((index for index in sorted(shared) if shared[index] >= CONTAINED * self._sizes[index]), None)
