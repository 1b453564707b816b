"""A seeded sample of a stream, in bounded memory."""

import hashlib
import heapq
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Sample(Generic[Item]):
    """At most `size` items, each under a key of its own; which keys are taken depends on the seed alone."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._heap: list[tuple[int, str]] = []  # the worst priority on top
        self._items: dict[str, Item] = {}

    def offer(self, key: str, item: Item) -> None:
        """Take part; of items with the same key the last one offered stays."""
        if key in self._items:
            self._items[key] = item
            return
        digest = hashlib.blake2b(f"{self._seed}\n{key}".encode(), digest_size=8).digest()
        priority = -int.from_bytes(digest, "big")
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
