"""A seeded sample of a stream, in bounded memory."""

import hashlib
import heapq
from math import log1p
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Sample(Generic[Item]):
    """At most `size` items, each under a key of its own; which keys are taken depends on the seed alone."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._heap: list[tuple[float, str]] = []  # the worst priority on top
        self._items: dict[str, Item] = {}

    def offer(self, key: str, item: Item, weight: float = 1.0) -> None:
        """Take part; of items with the same key the last one offered stays.

        The chance to be drawn grows with the weight (Efraimidis and Spirakis, 2006).
        """
        if key in self._items:
            self._items[key] = item
            return
        digest = hashlib.blake2b(f"{self._seed}\n{key}".encode(), digest_size=8).digest()
        priority = log1p(-(int.from_bytes(digest, "big") >> 11) / 2**53) / weight  # 53 bits: all below 1
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (priority, key))
        elif self._size and priority > self._heap[0][0]:
            del self._items[heapq.heapreplace(self._heap, (priority, key))[1]]
        else:
            return
        self._items[key] = item

    def items(self) -> list[Item]:
        """What was drawn, in the order of the draw."""
        return [self._items[key] for _, key in sorted(self._heap, reverse=True)]
