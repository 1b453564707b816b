"""Told to stop: a wait that SIGTERM and SIGINT end at once, and the end of a child as well."""

import select
import signal
import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

_STOPS = {signal.SIGTERM, signal.SIGINT}


class Bell:
    """A context manager of the main thread; `rung` says whether somebody wants us to stop.

    Signals arrive as bytes on a socket: one that comes between a question and a wait is not missed.
    """

    def __init__(self) -> None:
        self.rung = False
        self._ear, self._rope = socket.socketpair()
        self._ear.setblocking(False)
        self._rope.setblocking(False)

    def __enter__(self) -> Self:
        for each in (*_STOPS, signal.SIGCHLD):
            signal.signal(each, lambda *_: None)
        signal.set_wakeup_fd(self._rope.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for each in (*_STOPS, signal.SIGCHLD):
            signal.signal(each, signal.SIG_DFL)
        self._ear.close()
        self._rope.close()

    def wait(self, seconds: float) -> bool:
        """Sleep so long, or until any signal; returns `rung`."""
        select.select([self._ear], [], [], max(0.0, seconds))
        with suppress(BlockingIOError):
            self.rung = self.rung or bool(_STOPS.intersection(self._ear.recv(4096)))
        return self.rung
