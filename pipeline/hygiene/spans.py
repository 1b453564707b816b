"""Where in a text something stands that has to go."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """Characters `start` up to `end` of a text are of class `kind`."""

    start: int
    end: int
    kind: str


def without_overlaps(found: Iterable[Found], blocked: Iterable[tuple[int, int]], length: int) -> list[Found]:
    """In the order of the text. Of two that overlap a secret stays, then the longer one, then what is no phone.

    Args:
        found: within a text of `length` characters.
        blocked: starts and ends of what nothing may touch.
        length: of the text.
    """
    taken = bytearray(length)
    for start, end in blocked:
        taken[start:end] = b"\1" * (end - start)
    kept = []
    for each in sorted(found, key=_rank):
        if 1 not in taken[each.start : each.end]:
            taken[each.start : each.end] = b"\1" * (each.end - each.start)
            kept.append(each)
    return sorted(kept, key=lambda span: span.start)


def _rank(found: Found) -> tuple[bool, int, bool, int]:
    return found.kind != "SECRET", found.start - found.end, found.kind == "PHONE", found.start
