"""The WebSocket hub: one reader of the disk for all pages, and only while somebody looks.

Each page has room for one message of a kind that it has not had yet; a newer one takes its place. So a slow page sees
fewer states, and costs no memory; one that takes nothing at all is let go.
"""

import asyncio
import time
from collections import deque
from contextlib import suppress

import anyio
import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from pipeline.dashboard.shapes import Json
from pipeline.dashboard.state import State
from pipeline.lib.logs import logger

MOST_PAGES = 200
LARGEST_MESSAGE = 1024  # bytes, from a page; it has nothing to say

_MOST_MESSAGES, _WINDOW = 20, 10.0  # a page that sends more within so many seconds is let go
_SLOWEST = 10.0  # seconds that a page may take for one message
_HEALTH = 2.0  # seconds between two questions to the gateway
_TRY_LATER, _POLICY = 1013, 1008  # close codes of RFC 6455 and the IANA registry


class _Page:
    """One open WebSocket: what it has not been sent yet, by kind."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.pending: dict[str, bytes] = {}
        self.wake = asyncio.Event()

    def put(self, kind: str, message: bytes) -> None:
        self.pending[kind] = message
        self.wake.set()

    async def send(self, everything: anyio.CancelScope) -> None:
        """Until the socket is closed, or too slow; then the other half ends, too."""
        with suppress(TimeoutError, WebSocketDisconnect):
            while True:
                await self.wake.wait()
                self.wake.clear()
                for kind in list(self.pending):
                    if self.socket.application_state is not WebSocketState.CONNECTED:
                        return  # the other half is just closing it
                    with anyio.fail_after(_SLOWEST):
                        await self.socket.send_text(self.pending.pop(kind).decode())
        everything.cancel()

    async def listen(self) -> None:
        """Until the other side goes, or says too much."""
        heard: deque[float] = deque(maxlen=_MOST_MESSAGES)
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            heard.append(time.monotonic())
            size = len(message.get("text") or message.get("bytes") or "")
            if size > LARGEST_MESSAGE or (len(heard) == _MOST_MESSAGES and heard[-1] - heard[0] < _WINDOW):
                await self.socket.close(_POLICY, "a page has nothing to say here")
                return


class Hub:
    """Sends what has changed to every open page."""

    def __init__(self, state: State, seconds: float) -> None:
        self._state, self._seconds = state, seconds
        self._pages: set[_Page] = set()
        self._last: dict[str, bytes] = {}
        self._content: dict[str, bytes] = {}
        self._reading = asyncio.Lock()

    async def join(self, socket: WebSocket) -> None:
        """Serve one page until it goes."""
        await socket.accept()
        if len(self._pages) >= MOST_PAGES:
            await socket.close(_TRY_LATER, "too many pages are open")
            return
        page = _Page(socket)
        if not self._pages:
            await self.read()
        for kind, message in self._last.items():
            page.put(kind, message)
        self._pages.add(page)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(page.send, tasks.cancel_scope)
                await page.listen()
                tasks.cancel_scope.cancel()
        finally:
            self._pages.discard(page)

    async def run(self) -> None:
        """Look as often as was asked for, while somebody is there to see it."""
        while True:
            await asyncio.sleep(self._seconds)
            if self._pages:
                try:
                    await self.read()
                except Exception:  # the pages stay open, whatever a file holds; the next look may be luckier
                    logger.exception("the dashboard could not read the state")

    async def ask_gateway(self) -> None:
        """The same for the gateway's health."""
        while True:
            if self._pages:
                await asyncio.to_thread(self._state.health.ask)
            await asyncio.sleep(_HEALTH if self._pages else self._seconds)

    async def read(self) -> Json:
        """Look now; pages get what is new. Returns the three cards."""
        async with self._reading:
            data, lines = await asyncio.to_thread(self._state.look)
            self._publish("metrics_update", {"data": data})
            self._publish("activity", {"lines": lines})
        return dict(data)

    def _publish(self, kind: str, content: Json) -> None:
        written = orjson.dumps(content)
        if self._content.get(kind) == written:
            return
        self._content[kind] = written
        self._last[kind] = orjson.dumps({"type": kind, **content, "timestamp": time.time()})
        for page in self._pages:
            page.put(kind, self._last[kind])
