"""Asks the engine, every few minutes, whether the version in service is the one that answers.

An engine that was restarted has lost what was loaded at run time; it is loaded again, and proven again.
"""

import asyncio
import time
from typing import Any

from pipeline.backends.engines import proof as proofs
from pipeline.backends.engines.interface import ServingEngine
from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError
from pipeline.lib.logs import logger


class SelfCheck:
    """`last` is what the latest check found; empty before the first."""

    def __init__(self, settings: Settings, engine: ServingEngine) -> None:
        self.settings = settings
        self.engine = engine
        self.last: dict[str, Any] = {}

    async def run(self) -> None:
        """Check for ever."""
        while True:
            await asyncio.sleep(60 * self.settings.engine.check_minutes)
            await asyncio.to_thread(self.check)

    def check(self) -> dict[str, Any]:
        """Load again what was lost, then probe the public name; `proven` is none with nothing to compare with."""
        version = self.engine.active
        found: dict[str, Any] = {"at": time.time(), "version": version, "reloaded": [], "proven": None}
        try:
            found["reloaded"] = self.engine.reconcile()
            trained = reversed(generations.all_complete(self.settings.layout))
            fingerprint = proofs.kept(trained, {version})
            if fingerprint is not None:
                proof = self.engine.verify(version, fingerprint, public=True)
                found |= {"proven": proof.holds, "nearest": proof.nearest}
        except Exception as error:  # whatever it is, the next check must come
            if not isinstance(error, NightschoolError | OSError):
                logger.exception("the self-check failed")
            found |= {"proven": False, "error": str(error) or type(error).__name__}
        if found["proven"] is False and self.engine.active == version:
            logger.error("%s is in service, but something else answers: %s", version, found)
        self.last = found
        return found
