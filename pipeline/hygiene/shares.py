"""Nobody teaches the model alone: what one person contributes is capped, by rows and by tokens.

With few people a small share is impossible, so everybody may contribute at least twice what an even split would give.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contribution:
    """One row: whose it is (none: nobody knows), how long, and how much it is worth."""

    person: str | None
    tokens: int
    weight: float


def over_share(rows: Sequence[Contribution], share: float, most_rows: int | None = None) -> set[int]:
    """Which rows have to go so that nobody has more than the share of what is left.

    Args:
        rows: all that would be trained on.
        share: of rows, and of tokens; more where there are few people.
        most_rows: of one person, however many others there are.

    Returns:
        Indices. Of one person's rows the weightiest stay, of equal ones the last.
    """
    people = Counter(row.person for row in rows if row.person is not None)
    if not people:
        return set()
    allowed = max(share, 2 / len(people))
    order = sorted(range(len(rows)), key=lambda index: (rows[index].weight, index), reverse=True)
    gone = _beyond(rows, order, Counter(dict.fromkeys(people, most_rows))) if most_rows else set()
    while True:
        left = [index for index in order if index not in gone]
        over = _over(rows, left, allowed)
        if not over:
            return gone
        gone |= over


def _beyond(rows: Sequence[Contribution], order: Sequence[int], limits: Counter[str]) -> set[int]:
    """Rows that come after each person's first so many."""
    taken: Counter[str] = Counter()
    beyond = set()
    for index in order:
        person = rows[index].person
        if person is not None:
            taken[person] += 1
            if taken[person] > limits[person]:
                beyond.add(index)
    return beyond


def _over(rows: Sequence[Contribution], left: Sequence[int], allowed: float) -> set[int]:
    """Rows beyond the share of what is there now; taking them away makes all shares larger, so this is repeated."""
    most_rows, most_tokens = allowed * len(left), allowed * sum(rows[index].tokens for index in left)
    counted: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    over = set()
    for index in left:
        row = rows[index]
        if row.person is None:
            continue
        counted[row.person] += 1
        tokens[row.person] += row.tokens
        # One row each, whatever its length and however few rows there are.
        if counted[row.person] > max(1.0, most_rows) or (counted[row.person] > 1 and tokens[row.person] > most_tokens):
            over.add(index)
            counted[row.person] -= 1
            tokens[row.person] -= row.tokens
    return over
