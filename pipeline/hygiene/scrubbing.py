"""Scrubbing of many rows: what `pipeline.hygiene.privacy` does to one, as a function that can be sent elsewhere."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.hygiene.privacy import Scrubber
from pipeline.lib.sections import Hygiene

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scrubbing:
    """As the settings want it; without `hygiene.privacy` rows stay as they are."""

    settings: Hygiene

    def __call__(self, rows: list[Row]) -> tuple[list[Row], Counter[str]]:
        """The rows without secrets and personal data, and how many of each class were removed."""
        if not self.settings.privacy:
            return rows, Counter()
        scrubber = _scrubber(self.settings.ner_model, tuple(self.settings.keep))
        scrubbed = [scrubber.scrub_row(row) for row in rows]
        return [each.row for each in scrubbed], sum((each.removed for each in scrubbed), Counter[str]())

    @property
    def looks_for_names(self) -> bool:
        """Whether a model for names and places is there."""
        return self.settings.privacy and _scrubber(self.settings.ner_model, tuple(self.settings.keep)).looks_for_names


@cache
def _scrubber(ner_model: str | None, keep: tuple[str, ...]) -> Scrubber:
    return Scrubber(ner_model, keep)
