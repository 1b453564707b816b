"""The families for a server's /metrics: computed off the event loop, at most every few seconds, by one at a time."""

import asyncio
import time

from pipeline.backends.sinks.families import exposition
from pipeline.lib.layout import Layout

FRESH = 5.0  # seconds


class Scrape:
    """Remembers the last text; for one event loop."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._text = b""
        self._until = 0.0
        self._guard = asyncio.Lock()

    async def text(self) -> bytes:
        """The families in Prometheus' text format, at most `FRESH` seconds old."""
        async with self._guard:
            if time.monotonic() >= self._until:
                self._text = await asyncio.to_thread(exposition, self._layout)
                self._until = time.monotonic() + FRESH
        return self._text
