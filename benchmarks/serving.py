"""What the gateway costs and what it guarantees: swaps under load, the way there and back, the log after a kill.

    python -m benchmarks.serving [--quick] [--json] [--litellm PATH]

`--litellm` is the program of a LiteLLM proxy, installed in an environment of its own: before the same stub, asked by
the same client in the same run. Swaps on vLLM and llama-server: `make test-engines`.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import requests

from benchmarks.night import REPOSITORY, Home
from benchmarks.regressions import plant
from benchmarks.table import Row, finish

RIGHT, WRONG = "20400101T000000Z", "20400102T000000Z"
RATE = 100  # requests a second


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def control(home: Home, url: str, verb: str, version: str) -> float:
    """One control call; returns its milliseconds."""
    token = (home.folder / "logs" / "control.token").read_text(encoding="ascii").strip()
    headers = {"authorization": f"Bearer {token}"}
    started = time.perf_counter()
    answer = requests.post(f"{url}/control/{verb}", json={"version": version}, headers=headers, timeout=600)
    answer.raise_for_status()
    return 1000 * (time.perf_counter() - started)


def ask(url: str, question: str, model: str = "starter") -> dict[str, Any]:
    """One greedy chat."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0}
    answer = requests.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    answer.raise_for_status()
    return dict(answer.json())


def text_of(answer: dict[str, Any]) -> str:
    """What was said."""
    return str(answer["choices"][0]["message"]["content"])


def swaps(home: Home, activations: int) -> dict[str, Any]:
    """Activate two versions in turn while eight clients ask; every answer is compared with its version's own."""
    url = json.loads((home.folder / "logs" / "server.json").read_text(encoding="utf-8"))["url"]
    for version in (RIGHT, WRONG):
        control(home, url, "load", version)
    questions = [f"set x to {first} + {second}" for first, second in ((1, 2), (3, 4), (9, 5), (8, 8))]
    expected = {(v, q): text_of(ask(url, q, f"starter@{v}")) for v in (RIGHT, WRONG) for q in questions}
    assert any(expected[RIGHT, question] != expected[WRONG, question] for question in questions)
    control(home, url, "activate", RIGHT)
    stop = threading.Event()

    def client(number: int) -> tuple[int, int, int]:
        asked = failed = mixed = 0
        while not stop.is_set():
            question = questions[(number + asked) % len(questions)]
            asked += 1
            try:
                answer = ask(url, question)
            except requests.RequestException:
                failed += 1
            else:
                mixed += text_of(answer) != expected[answer["system_fingerprint"], question]
        return asked, failed, mixed

    with ThreadPoolExecutor(8) as clients:
        running = [clients.submit(client, number) for number in range(8)]
        took = []
        for number in range(activations):
            took.append(control(home, url, "activate", (WRONG, RIGHT)[number % 2]))
            time.sleep(0.02)
        stop.set()
        asked, failed, mixed = (sum(column) for column in zip(*(one.result() for one in running), strict=True))
    started = time.perf_counter()
    control(home, url, "activate", RIGHT)
    while ask(url, questions[0])["system_fingerprint"] != RIGHT:
        pass
    back = time.perf_counter() - started
    return {"asked": asked, "failed": failed, "mixed": mixed, "milliseconds": took, "rollback_seconds": back}


def throughput(home: Home) -> dict[str, float]:
    """Chats a second: one client, then sixteen."""
    url = json.loads((home.folder / "logs" / "server.json").read_text(encoding="utf-8"))["url"]

    def rate(clients: int, seconds: float = 8) -> float:
        deadline = time.monotonic() + seconds

        def client(number: int) -> int:
            asked = 0
            while time.monotonic() < deadline:
                ask(url, f"set y to {number} + {asked % 9} * 2")
                asked += 1
            return asked

        with ThreadPoolExecutor(clients) as pool:
            return sum(pool.map(client, range(clients))) / seconds

    return {"one": rate(1), "sixteen": rate(16)}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


@contextmanager
def running(command: list[str], url: str, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A server process while the block runs."""
    process = subprocess.Popen(command, **options)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(requests.RequestException):
                if requests.get(url, timeout=5).status_code < 500:
                    break
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


_BODY = {"model": "stub", "messages": [{"role": "user", "content": "What is the answer?"}]}


async def _paced(url: str, seconds: float) -> list[float]:
    """Milliseconds of each of `RATE` requests a second, sent whether earlier ones are answered or not."""
    took: list[float] = []
    async with _session() as session:

        async def one() -> None:
            started = time.perf_counter()
            async with session.post(f"{url}/v1/chat/completions", json=_BODY) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            took.append(1000 * (time.perf_counter() - started))

        await asyncio.gather(*(one() for _ in range(20)))
        took.clear()
        begun = time.perf_counter()
        tasks = []
        for number in range(int(RATE * seconds)):
            await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
            tasks.append(asyncio.create_task(one()))
        await asyncio.gather(*tasks)
    return took


def overhead(home: Home, stub: str, litellm: str | None, seconds: float) -> dict[str, list[float]]:
    """Direct, through the gateway, through LiteLLM: in turn, three rounds."""
    url = json.loads((home.folder / "logs" / "server.json").read_text(encoding="utf-8"))["url"]
    ways = {"direct": stub, "gateway": url}
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder) / "litellm.yaml"
        model = {"model": "openai/stub", "api_base": f"{stub}/v1", "api_key": "none"}
        config.write_text(json.dumps({"model_list": [{"model_name": "stub", "litellm_params": model}]}), "utf-8")
        if litellm is None:
            return _rounds(ways, seconds)
        ways["litellm"] = f"http://127.0.0.1:{port}"
        command = [litellm, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        with running(command, f"{ways['litellm']}/health/liveliness", stdout=subprocess.DEVNULL):
            return _rounds(ways, seconds)


def _rounds(ways: dict[str, str], seconds: float) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, url in ways.items():
            took[name] += asyncio.run(_paced(url, seconds / 3))
    return took


async def _flood(url: str, count: int, answered: set[str]) -> None:
    """Ask as fast as 64 clients can; whatever was answered is noted by its id."""
    left = iter(range(count))
    async with _session() as session:

        async def client() -> None:
            for _ in left:
                try:
                    async with session.post(f"{url}/v1/chat/completions", json=_BODY) as answer:
                        await answer.read()
                        if answer.status == 200:
                            answered.add(answer.headers["x-nightschool-interaction"])
                except (aiohttp.ClientError, OSError):
                    return

        await asyncio.gather(*(client() for _ in range(64)))


def kept(home: Home, count: int) -> dict[str, int]:
    """Half of the requests, kill -9 among them, a restart, the other half; then the log is read."""
    answered: set[str] = set()

    def url() -> str:
        return str(json.loads((home.folder / "logs" / "server.json").read_text(encoding="utf-8"))["url"])

    with serving(home) as server:
        killer = threading.Timer(count / 2000, lambda: server.send_signal(signal.SIGKILL))
        killer.start()
        asyncio.run(_flood(url(), count // 2, answered))
        killer.join()
    before = len(answered)
    with serving(home):
        asyncio.run(_flood(url(), count - before, answered))
    logged = set()
    for path in (home.folder / "logs" / "interactions").glob("*.jsonl"):
        with path.open(encoding="utf-8") as lines:
            logged |= {json.loads(line)["id"] for line in lines}
    return {"answered": len(answered), "before_the_kill": before, "missing": len(answered - logged)}


@contextmanager
def serving(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    """The gateway of a home, in a way that bears a kill."""
    (home.folder / "logs" / "server.json").unlink(missing_ok=True)
    server = subprocess.Popen([home.variables["NIGHTSCHOOL"], "serve"], env=home.variables)
    try:
        while not (home.folder / "logs" / "server.json").exists():
            time.sleep(0.1)
        time.sleep(1)
        yield server
    finally:
        server.terminate()
        server.wait()


def play(quick: bool, litellm: str | None) -> dict[str, Any]:
    """Everything, on two installations: the embedded engine, and a stub behind the gateway."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        with serving(home):
            plant(home, RIGHT, 1, wrong=False)
            plant(home, WRONG, 2, wrong=True)
            found["embedded"] = swaps(home, 100 if quick else 1000)
            found["throughput"] = throughput(home)
    port = free_port()
    stub = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "benchmarks.stub_engine", str(port)]
    with tempfile.TemporaryDirectory() as folder, running(command, f"{stub}/v1/models", cwd=REPOSITORY):
        home = Home(Path(folder))
        home.variables |= {"NIGHTSCHOOL_ENGINE__KIND": "openai", "NIGHTSCHOOL_ENGINE__URL": stub}
        home.variables |= {"NIGHTSCHOOL_MODEL__NAME": "stub"}
        with serving(home):
            found["overhead"] = overhead(home, stub, litellm, 15 if quick else 60)
        found["kept"] = kept(home, 4_000 if quick else 50_000)
    return found


def rows_of(found: dict[str, Any]) -> list[Row]:
    """The bars of docs/engines.md."""
    swapped, took, log = found["embedded"], found["overhead"], found["kept"]
    activations = swapped["milliseconds"]
    median, worst = percentile(activations, 0.5), percentile(activations, 0.99)
    added = {
        name: [percentile(values, share) - percentile(took["direct"], share) for share in (0.5, 0.99)]
        for name, values in took.items()
        if name != "direct"
    }
    ours = added["gateway"]
    ratio = found["throughput"]["sixteen"] / found["throughput"]["one"]
    rows = [
        Row(
            f"{len(activations)} activations (embedded) under load: failed, mixed of {swapped['asked']} requests",
            "0, 0",
            f"{swapped['failed']}, {swapped['mixed']}",
            swapped["failed"] == swapped["mixed"] == 0,
        ),
        Row(
            "activation (embedded), p50 / p99, ms",
            "≤ 5 / ≤ 50",
            f"{median:.1f} / {worst:.1f}",
            median <= 5 and worst <= 50,
        ),
        Row(
            "rollback until the old version answers, s",
            "≤ 1",
            f"{swapped['rollback_seconds']:.2f}",
            swapped["rollback_seconds"] <= 1,
        ),
        Row(
            f"what the gateway adds at {RATE} requests/s, p50 / p99, ms",
            "≤ 1.5 / ≤ 8",
            f"{ours[0]:.2f} / {ours[1]:.2f}",
            ours[0] <= 1.5 and ours[1] <= 8,
        ),
    ]
    if "litellm" in added:
        theirs = added["litellm"]
        rows.append(
            Row(
                "LiteLLM's proxy adds, p50 / p99, ms (ours in parts of it)",
                "≤ 1/5",
                f"{theirs[0]:.2f} / {theirs[1]:.2f} ({ours[0] / theirs[0]:.2f})",
                ours[0] <= theirs[0] / 5,
            )
        )
    return [
        *rows,
        Row(
            f"answered but not in the log, of {log['answered']} with a kill -9 after {log['before_the_kill']}",
            "0",
            str(log["missing"]),
            log["missing"] == 0,
        ),
        Row("embedded: 16 parallel chats against one, chats/s", "≥ 6 ×", f"{ratio:.1f} ×", ratio >= 6),
    ]


def main() -> None:
    """Parse, play, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--litellm", help="program of a LiteLLM proxy to compare with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.chdir(REPOSITORY)
    found = play(options.quick, options.litellm)
    finish("serving", rows_of(found), found if options.quick else {}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
