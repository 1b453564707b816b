"""Presidio's pattern recognizers, asked directly: through its AnalyzerEngine the same takes three times as long.

Nothing here loads a language model or asks the network; importing presidio takes seconds, so it is done on first use.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

ENOUGH = 0.4  # presidio's score for "has the form, and nothing speaks against it"
_BEFORE = re.compile(r"[A-Za-z0-9]|(?<=\d)\.")  # it would be the end of a word, or the decimals of a number
_AFTER = re.compile(r"[A-Za-z0-9]|\.\d")


class Recognizer:
    """One of presidio's recognizers, asked (and imported) only about texts that could hold what it looks for.

    Args:
        name: its class in presidio.
        hint: an expression that matches somewhere in every text that holds one.
    """

    def __init__(self, name: str, hint: str) -> None:
        self._name = name
        self._hint = re.compile(hint)

    @cached_property
    def _recognizer(self) -> Any:
        from presidio_analyzer import predefined_recognizers

        return getattr(predefined_recognizers, self._name)()

    @cached_property
    def words(self) -> re.Pattern[str]:
        """The words that people write beside it."""
        words = "|".join(re.escape(str(word)) for word in self._recognizer.context or ())
        return re.compile(rf"(?i)\b(?:{words})\b")

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of all that has the form, and that nothing speaks against."""
        for start, end, score in self.scored(text):
            if score >= ENOUGH:
                yield start, end

    def scored(self, text: str) -> Iterator[tuple[int, int, float]]:
        """Start, end and presidio's score (0 to 1) of all that stands alone."""
        if self._hint.search(text):
            yield from standing_alone(self._recognizer, text)


def standing_alone(recognizer: Any, text: str) -> Iterator[tuple[int, int, float]]:
    """What a recognizer of presidio finds, and its score (0 to 1), unless it is within a longer word or number."""
    for result in recognizer.analyze(text, recognizer.supported_entities):
        before = result.start and _BEFORE.match(text, result.start - 1)
        if not before and not _AFTER.match(text, result.end):
            yield result.start, result.end, result.score
