"""Writes interactions and feedback to `logs/interactions/YYYY-MM-DD.jsonl`, off the path of the answers.

{"kind": "interaction", …}   what was asked and answered
{"kind": "feedback", "interaction_id": …, …}   what came of it, maybe days later
"""

import queue
import threading
import time
from collections import defaultdict
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.errors import DiskError
from pipeline.lib.logs import logger

_LONGEST_WAIT = 0.05  # seconds that a row may wait for others to share its fsync


class InteractionLog:
    """A background writer: `put` returns at once, the future it gives resolves when the row is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lost = 0
        self._queue: queue.Queue[tuple[dict[str, Any], Future[None]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="interaction-log", daemon=True)
        self._thread.start()

    def put(self, record: dict[str, Any]) -> "Future[None]":
        """Queue a record; it goes to the file of the day on which it is written."""
        written: Future[None] = Future()
        try:
            jsonl.encode(record)  # here, so that a record which is no JSON (an integer of 30 digits) hurts no other
        except TypeError as error:
            written.set_exception(error)
        else:
            self._queue.put((record, written))
        return written

    def close(self) -> None:
        """Write what waits, then stop."""
        self._queue.put(None)
        self._thread.join()

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
            self._write(batch)

    def _write(self, batch: "list[tuple[dict[str, Any], Future[None]]]") -> None:
        by_day: dict[str, list[tuple[dict[str, Any], Future[None]]]] = defaultdict(list)
        for record, written in batch:
            by_day[datetime.fromtimestamp(record["at"], UTC).strftime("%Y-%m-%d")].append((record, written))
        for day, rows in by_day.items():
            try:
                jsonl.append(self.folder / f"{day}.jsonl", (record for record, _ in rows))
            except DiskError as error:
                self.lost += len(rows)
                logger.error("%d interactions not written: %s", len(rows), error)
                for _, written in rows:
                    written.set_exception(error)
            else:
                for _, written in rows:
                    written.set_result(None)
