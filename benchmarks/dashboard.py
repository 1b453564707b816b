"""The dashboard with a full store and with many pages open; pages that poll the API, for comparison.

python -m benchmarks.dashboard [--quick] [--json]

The home is made from a seed: nights with their generations, and a store of many requests with its daily sums. The
server is a process of its own, its processor time is what the kernel says. 50 pages are 50 WebSockets that read every
message; every second something changes on the disk. Then the same 50 ask `/api/status` every second instead. The
first paint is that of a real Chromium: until the browser has drawn anything, and until the numbers of the store are
on the page.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.dashboard_home import make
from benchmarks.table import Row, finish
from pipeline.dashboard.app import STATIC
from pipeline.lib import jsonl

PAGES = 50
CHROMIUM = "/usr/bin/chromium"


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="100,000 requests in the store, and shorter looks")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    requests, seconds, loads = (100_000, 8, 3) if arguments.quick else (10_000_000, 30, 9)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make(home, requests, nights=30, chance=random.Random(0))
        with serving(home) as (url, process):
            found = {"store_rows": requests, **browse(url, loads), **asyncio.run(crowd(url, process, home, seconds))}
    found["weight_kb"] = sum(path.stat().st_size for path in STATIC.iterdir()) / 1000
    finish("dashboard", rows(found), {"measured": found}, arguments.json, keep=not arguments.quick)


def rows(found: dict[str, Any]) -> list[Row]:
    """The table."""
    numbers, drawn, delay = found["numbers_ms"], found["first_paint_ms"], found["push_delay_ms"]
    push, poll = found["push_processor"], found["poll_processor"]
    requests = f"{found['store_rows']:,} requests in the store"
    return [
        Row(f"first paint, {requests}, median", "≤ 1 s", f"{drawn:.0f} ms", drawn <= 1000),
        Row("… until its numbers are on the page", "≤ 1 s", f"{numbers:.0f} ms", numbers <= 1000),
        Row("the same numbers from the single requests, by SQL", "–", f"{found['single_ms']:.0f} ms", None),
        Row(f"{PAGES} pages open: processor time of the server", "≤ 10 % of a core", f"{push:.1%}", push <= 0.1),
        Row("… from a change on the disk to a page, 95 %", "≤ 1 s", f"{delay:.0f} ms", delay <= 1000),
        Row(f"{PAGES} pages that poll every second: processor time", "–", f"{poll:.1%} ({poll / push:.1f} ×)", None),
        Row("… from a change on the disk to a page, 95 %", "–", f"{found['poll_delay_ms']:.0f} ms", None),
        Row("requests to other hosts", "0", str(found["foreign"]), found["foreign"] == 0),
        Row("axe violations, light and dark", "0", str(found["violations"]), found["violations"] == 0),
        Row("weight of the page, all files", "≤ 150 kB", f"{found['weight_kb']:.1f} kB", found["weight_kb"] <= 150),
    ]


@contextmanager
def serving(home: Path) -> Any:
    """The dashboard's address and process, until the block ends."""
    command = [sys.executable, "-m", "pipeline.cli", "--home", str(home), "dashboard", "--port", "0"]
    server = subprocess.Popen([*command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    try:
        server.stdout.readline()
        url = json.loads((home / "logs" / "dashboard.json").read_text())["url"]
        yield url, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def browse(url: str, loads: int) -> dict[str, Any]:
    """Open the page some times, each time with an empty cache."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    foreign, violations, painted, numbers = 0, 0, [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for turn in range(loads):
            context = browser.new_context(color_scheme="dark" if turn % 2 else "light")
            page = context.new_page()
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(url)
            for place in ("#tiles dt", "#better-plot canvas", "#traffic-body canvas"):
                page.locator(place).first.wait_for()
            numbers.append(page.evaluate("performance.now()"))
            painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            foreign += sum(not each.startswith(url) for each in asked)
            if turn < 2:
                violations += len(Axe().run(page).response["violations"])
            context.close()
        browser.close()
    return {
        "first_paint_ms": statistics.median(painted),
        "numbers_ms": statistics.median(numbers),
        "foreign": foreign,
        "violations": violations,
    }


async def crowd(url: str, process: psutil.Process, home: Path, seconds: int) -> dict[str, Any]:
    """Pages that are sent what changes, then pages that ask."""
    from benchmarks.dashboard_home import from_single_requests

    found: dict[str, Any] = {"single_ms": from_single_requests(home)}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for name, page in (("push", _listen), ("poll", _poll)):
            delays: list[float] = []
            pages = [asyncio.create_task(page(session, url, delays)) for _ in range(PAGES)]
            await asyncio.sleep(3)
            delays.clear()
            begun, used = time.monotonic(), sum(process.cpu_times()[:2])
            await _change(home, seconds)
            await asyncio.sleep(1.5)
            share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - begun)
            for each in pages:
                each.cancel()
            await asyncio.gather(*pages, return_exceptions=True)
            found |= {f"{name}_processor": share, f"{name}_delay_ms": 1000 * statistics.quantiles(delays, n=20)[-1]}
            found[f"{name}_seen"] = len(delays) / (PAGES * seconds)
    return found


async def _change(home: Path, seconds: int) -> None:
    """A stage ends, every second, at no particular moment of the server's."""
    for turn in range(seconds):
        line = {"run": "20261120T020000Z", "stage": "harvest", "status": "done", "exit_code": 0, "outputs": {}}
        # When it was written stands where every update carries it.
        jsonl.append(home / "logs" / "runs.jsonl", [{**line, "seconds": 0.0, "at": time.time()}], durable=False)
        await asyncio.sleep(0.9 + 0.2 * ((turn * 7) % 10) / 10)


async def _listen(session: aiohttp.ClientSession, url: str, delays: list[float]) -> None:
    seen: set[float] = set()
    async with session.ws_connect(f"{url}ws", max_msg_size=0) as socket:
        async for message in socket:
            content = json.loads(message.data)
            if content["type"] == "metrics_update":
                _note(content["data"], seen, delays)


async def _poll(session: aiohttp.ClientSession, url: str, delays: list[float]) -> None:
    seen: set[float] = set()
    await asyncio.sleep(random.random())
    while True:
        async with session.get(f"{url}api/status") as answer:
            _note((await answer.json())["data"], seen, delays)
        await asyncio.sleep(1)


def _note(data: dict[str, Any], seen: set[float], delays: list[float]) -> None:
    """How old a change is that has not been seen before."""
    written = data["evolution_status"]["last_stages"][-1]["at"]
    if written not in seen:
        seen.add(written)
        delays.append(time.time() - written)


if __name__ == "__main__":
    main()
