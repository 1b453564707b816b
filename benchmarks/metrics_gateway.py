"""Two gateways in one process before the same engine, one records and one does not: asked in turn."""

import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from benchmarks.home import REPOSITORY
from benchmarks.servers import free_port, running
from pipeline.backends.engines.openai import OpenAiEngine
from pipeline.gateway.app import Gateway
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.self_check import SelfCheck
from pipeline.gateway.traffic import Traffic
from pipeline.lib.config import Settings
from pipeline.metrics.store import MetricsStore

_BODY = {"model": "stub", "messages": [{"role": "user", "content": "What is the answer?"}]}


def overhead(folder: Path, requests: int) -> dict[str, list[float]]:
    """Milliseconds of each request `with` and `without` recording, after twenty of each that do not count."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "benchmarks.stub_engine", url.rpartition(":")[2]]
    with running(command, f"{url}/v1/models", cwd=REPOSITORY):
        return asyncio.run(_in_turn(folder, url, requests))


async def _in_turn(folder: Path, url: str, requests: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {"with": [], "without": []}
    gateways = {name: _gateway(folder / name, url, records=name == "with") for name in took}
    async with AsyncExitStack() as stack:
        clients = {}
        for name, gateway in gateways.items():
            app = gateway.app()
            await stack.enter_async_context(app.router.lifespan_context(app))
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
            clients[name] = await stack.enter_async_context(client)
        for number in range(-20, requests):
            for name in took if number % 2 else reversed(took):  # neither always comes first
                begun = time.perf_counter()
                answer = await clients[name].post("/v1/chat/completions", json=_BODY)
                milliseconds = (time.perf_counter() - begun) * 1000
                assert answer.status_code == 200, answer.text
                if number >= 0:
                    took[name].append(milliseconds)
    assert gateways["with"].store is not None
    assert not gateways["with"].store.lost
    return took


def _gateway(home: Path, url: str, records: bool) -> Gateway:
    home.mkdir()
    settings = Settings(home=home, engine={"kind": "openai", "url": url}, model={"name": "stub"})
    engine, log = OpenAiEngine(settings, []), InteractionLog(settings.layout.interactions)
    store = MetricsStore.of(settings) if records else None
    return Gateway(settings, engine, log, Traffic(), "", "token", SelfCheck(settings, engine), store=store)


def medians(took: dict[str, list[float]]) -> dict[str, float]:
    """The median of each and that of the differences of neighbours, in milliseconds."""
    differences = [one - other for one, other in zip(took["with"], took["without"], strict=True)]
    return {name: round(statistics.median(values), 4) for name, values in {**took, "more": differences}.items()}


def microseconds_of_add(folder: Path, count: int) -> float:
    """The median of what `add` alone takes, at 1,000 requests a second."""
    from benchmarks.metrics_writers import request

    took = []
    with MetricsStore(folder / "add.sqlite") as store:
        for number in range(count):
            row = request(0, number)
            begun = time.perf_counter()
            store.add(row)
            took.append((time.perf_counter() - begun) * 1e6)
            time.sleep(0.001)
    return statistics.median(took)
