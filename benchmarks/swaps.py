"""Swaps of versions under load, and how many chats a second are answered."""

import asyncio
import time
from typing import Any

import aiohttp

from benchmarks.home import Home
from benchmarks.regressions import scaled
from benchmarks.servers import door_of, session

RIGHT, WRONG = "20400101T000000Z", "20400102T000000Z"  # two generations that answer differently
_PAUSE = 0.02  # seconds after each activation
_QUESTIONS = [f"set x to {first} + {second}" for first, second in ((1, 2), (3, 4), (9, 5), (8, 8))]


class Client:
    """Asks one gateway; each of the many that ask at once is a coroutine, so that asking costs little."""

    def __init__(self, home: Home, session: aiohttp.ClientSession) -> None:
        self.url, self.token = door_of(home)
        self.session = session

    async def control(self, verb: str, version: str) -> float:
        """One control call; returns its milliseconds."""
        started = time.perf_counter()
        async with self.session.post(
            f"{self.url}/control/{verb}", json={"version": version}, headers=self.token
        ) as answer:
            assert answer.status == 200, await answer.text()
        return 1000 * (time.perf_counter() - started)

    async def ask(self, question: str, model: str = "starter") -> tuple[str, str]:
        """One greedy chat: who answered, and what."""
        body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0}
        async with self.session.post(f"{self.url}/v1/chat/completions", json=body) as answer:
            answer.raise_for_status()
            said = await answer.json()
        return said["system_fingerprint"], said["choices"][0]["message"]["content"]


def copies(home: Home, count: int) -> dict[str, str]:
    """New generations under new ids, in turn with the tensors of the one and the other; each with whose they are."""
    found = {f"20410101T{number // 60:04}{number % 60:02}Z": (RIGHT, WRONG)[number % 2] for number in range(count)}
    for version, origin in found.items():
        scaled(home, origin, version, 1.0)
    return found


async def swaps(home: Home, versions: list[str], new: dict[str, str] | None = None) -> dict[str, Any]:
    """Activate versions one after the other while eight clients ask; every answer must be its version's own.

    Args:
        home: its gateway runs.
        versions: what to activate, in order.
        new: those that are loaded just before, with whose tensors they are; the one before the last is unloaded.

    Returns: `asked`, `failed` and `mixed` (counts), `milliseconds` of each activation, `rollback_seconds` until the
    version before the last one answers again.
    """
    async with session() as pool:
        client = Client(home, pool)
        for version in (RIGHT, WRONG):
            await client.control("load", version)
        expected = {(v, q): (await client.ask(q, f"starter@{v}"))[1] for v in (RIGHT, WRONG) for q in _QUESTIONS}
        assert any(expected[RIGHT, question] != expected[WRONG, question] for question in _QUESTIONS)
        expected |= {(v, q): expected[of, q] for v, of in (new or {}).items() for q in _QUESTIONS}
        await client.control("activate", RIGHT)
        counts = {"asked": 0, "failed": 0, "mixed": 0}
        clients = [asyncio.create_task(_load(client, expected, counts)) for _ in range(8)]
        took = []
        for number, version in enumerate(versions):
            if new:
                await client.control("load", version)
            took.append(await client.control("activate", version))
            await asyncio.sleep(_PAUSE)
            if new and number > 1:
                await client.control("drain", versions[number - 2])
                await client.control("unload", versions[number - 2])
        back = await _rollback(client, versions[-2])
        for each in clients:
            each.cancel()
        ended = await asyncio.gather(*clients, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended
    return {**counts, "milliseconds": took, "rollback_seconds": back}


async def _load(client: Client, expected: dict[tuple[str, str], str], counts: dict[str, int]) -> None:
    """One client that asks for ever."""
    while True:
        question = _QUESTIONS[counts["asked"] % len(_QUESTIONS)]
        counts["asked"] += 1
        try:
            version, text = await client.ask(question)
        except (aiohttp.ClientError, OSError):
            counts["failed"] += 1
        else:
            counts["mixed"] += text != expected[version, question]


async def _rollback(client: Client, version: str) -> float:
    """Seconds from the decision until this version answers."""
    started = time.perf_counter()
    await client.control("activate", version)
    while (await client.ask(_QUESTIONS[0]))[0] != version:
        pass
    return time.perf_counter() - started


async def throughput(home: Home, seconds: float = 8) -> dict[str, float]:
    """Chats a second: one client, then sixteen."""
    async with session() as pool:
        client = Client(home, pool)

        async def load(number: int, deadline: float) -> int:
            asked = 0
            while time.monotonic() < deadline:
                await client.ask(f"set y to {number} + {asked % 9} * 2")
                asked += 1
            return asked

        async def rate(clients: int) -> float:
            deadline = time.monotonic() + seconds
            return sum(await asyncio.gather(*(load(number, deadline) for number in range(clients)))) / seconds

        return {"one": await rate(1), "sixteen": await rate(16)}
