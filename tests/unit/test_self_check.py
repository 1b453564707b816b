"""The gateway asks its engine every few minutes who is answering, whatever comes of it."""

import asyncio
from pathlib import Path

from pipeline.gateway.self_check import SelfCheck
from pipeline.lib.config import Settings


class Engine:
    """Stumbles over a bug when it is asked for the first time."""

    active = "base"

    def __init__(self) -> None:
        self.asked = 0

    def reconcile(self) -> list[str]:
        self.asked += 1
        if self.asked == 1:
            raise KeyError("data")
        return []


def test_a_check_that_fails_in_an_unexpected_way_says_so_and_is_not_the_last(tmp_path: Path) -> None:
    engine = Engine()
    check = SelfCheck(Settings(home=tmp_path, engine={"check_minutes": 1e-6}), engine)
    failed = check.check()
    assert (failed["proven"], failed["error"], check.last) == (False, "'data'", failed)

    async def until_the_next() -> None:
        running = asyncio.create_task(check.run())
        while engine.asked < 3 and not running.done():
            await asyncio.sleep(0.01)
        running.cancel()

    engine.asked = 0
    asyncio.run(asyncio.wait_for(until_the_next(), 20))
    assert engine.asked >= 3
    assert check.last["proven"] is None
