"""Presidio's pattern recognizers, asked directly: through its AnalyzerEngine the same takes three times as long.

Nothing here loads a language model or asks the network; importing presidio takes seconds, so it is done on first use.
"""

import re
from collections.abc import Iterator
from typing import Any

ENOUGH = 0.4  # presidio's score for "has the form, and nothing speaks against it"
_BEFORE = re.compile(r"[A-Za-z0-9]|(?<=\d)\.")  # it would be the end of a word, or the decimals of a number
_AFTER = re.compile(r"[A-Za-z0-9]|\.\d")


class Recognizer:
    """One of presidio's recognizers, asked only about texts that could hold what it looks for.

    Args:
        recognizer: as `named` gives it.
        hint: an expression that matches somewhere in every text that holds one.
    """

    def __init__(self, recognizer: Any, hint: str) -> None:
        self._recognizer = recognizer
        self._hint = re.compile(hint)
        self.words = [str(word) for word in recognizer.context or ()]  # that people write beside it

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of all that has the form, and that nothing speaks against."""
        for start, end, score in self.scored(text):
            if score >= ENOUGH:
                yield start, end

    def scored(self, text: str) -> Iterator[tuple[int, int, float]]:
        """Start, end and presidio's score (0 to 1) of all that stands alone, not within a longer word or number."""
        if not self._hint.search(text):
            return
        for result in self._recognizer.analyze(text, self._recognizer.supported_entities):
            before = result.start and _BEFORE.match(text, result.start - 1)
            if not before and not _AFTER.match(text, result.end):
                yield result.start, result.end, result.score


def named(name: str) -> Any:
    """A recognizer by its class in presidio."""
    from presidio_analyzer import predefined_recognizers

    return getattr(predefined_recognizers, name)()
