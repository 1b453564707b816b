"""Where in a text something stands that has to go."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """Characters `start` up to `end` of a text are of class `kind`."""

    start: int
    end: int
    kind: str


def without_overlaps(found: Iterable[Found]) -> list[Found]:
    """In the order of the text. Of two that overlap a secret stays, then the longer one, then what is no phone."""
    taken: list[Found] = []
    for each in sorted(found, key=_rank):
        if all(each.end <= other.start or other.end <= each.start for other in taken):
            taken.append(each)
    return sorted(taken, key=lambda span: span.start)


def _rank(found: Found) -> tuple[bool, int, bool, int]:
    return found.kind != "SECRET", found.start - found.end, found.kind == "PHONE", found.start
