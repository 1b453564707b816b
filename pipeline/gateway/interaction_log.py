"""Writes interactions and feedback to `logs/interactions/YYYY-MM-DD.jsonl`.

{"kind": "interaction", …}   what was asked and answered
{"kind": "feedback", "interaction_id": …, …}   what came of it, maybe days later

A row is given to the kernel at once, so whatever was answered survives the end of the gateway, however
it ends. Forcing it to the disk takes longer and is done in the background, for many rows together.
"""

import queue
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.errors import DiskError
from pipeline.lib.files import sync
from pipeline.lib.logs import logger

_LONGEST_WAIT = 0.05  # seconds that a row may wait for others to share its fsync


class InteractionLog:
    """The future that `put` gives resolves when the row is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lost = 0
        self._appender: jsonl.Appender | None = None
        self._queue: queue.Queue[tuple[Path, Future[None]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="interaction-log", daemon=True)
        self._thread.start()

    def put(self, record: dict[str, Any]) -> "Future[None]":
        """Write a record to the file of its UTC day; never raises. For one thread."""
        written: Future[None] = Future()
        path = self.folder / f"{datetime.fromtimestamp(record['at'], UTC):%Y-%m-%d}.jsonl"
        try:
            self._appender_of(path).append(record)
        except TypeError as error:  # no JSON: an integer of 30 digits, say
            written.set_exception(error)
        except DiskError as error:
            self._lose(error, [written])
        else:
            self._queue.put((path, written))
        return written

    def close(self) -> None:
        """Force to the disk what waits, then stop."""
        self._queue.put(None)
        self._thread.join()
        if self._appender is not None:
            self._appender.close()

    def _appender_of(self, path: Path) -> jsonl.Appender:
        if self._appender is None or self._appender.path != path:
            if self._appender is not None:
                self._appender.close()
            self._appender = jsonl.Appender(path)
        return self._appender

    def _work(self) -> None:
        open_for_business = True
        while open_for_business:
            first = self._queue.get()
            if first is None:
                return
            batch = [first]
            time.sleep(_LONGEST_WAIT)
            while not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    open_for_business = False
                    break
                batch.append(following)
            for path in {path for path, _ in batch}:
                self._sync(path, [written for each, written in batch if each == path])

    def _sync(self, path: Path, waiting: "list[Future[None]]") -> None:
        try:
            sync(path)
        except OSError as error:
            self._lose(error, waiting)
        else:
            for written in waiting:
                written.set_result(None)

    def _lose(self, error: Exception, waiting: "list[Future[None]]") -> None:
        self.lost += len(waiting)
        logger.error("%d interactions not written: %s", len(waiting), error)
        for written in waiting:
            written.set_exception(DiskError(str(error)))
