"""What the gateway costs and what it guarantees: swaps under load, the way there and back, the log after a kill.

    python -m benchmarks.serving [--quick] [--json] [--litellm PATH] [--engines vllm llama-server]

`--litellm` is the program of a LiteLLM proxy, installed in an environment of its own: before the same stub, asked by
the same client in the same run. `--engines` swaps versions on these as well (see `make engines`).
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.home import REPOSITORY, Home
from benchmarks.regressions import plant
from benchmarks.servers import door_of, engine, free_port, running, session
from benchmarks.swaps import RIGHT, WRONG, copies, swaps, throughput
from benchmarks.table import Row, finish

RATE = 100  # requests a second


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


_BODY = {"model": "stub", "messages": [{"role": "user", "content": "What is the answer?"}]}


async def _paced(url: str, seconds: float) -> list[float]:
    """Milliseconds of each of `RATE` requests a second, sent whether earlier ones are answered or not."""
    took: list[float] = []
    async with session() as pool:

        async def one() -> None:
            started = time.perf_counter()
            async with pool.post(f"{url}/v1/chat/completions", json=_BODY) as answer:
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
    ways = {"direct": stub, "gateway": door_of(home)[0]}
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder) / "litellm.yaml"
        model = {"model": "openai/stub", "api_base": f"{stub}/v1", "api_key": "none"}
        config.write_text(json.dumps({"model_list": [{"model_name": "stub", "litellm_params": model}]}), "utf-8")
        if litellm is None:
            return _rounds(ways, seconds)
        ways["litellm"] = f"http://127.0.0.1:{port}"
        command = [litellm, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        environment = {
            **os.environ,
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
        with running(command, f"{ways['litellm']}/health/liveliness", **quiet):
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
    async with session() as pool:

        async def client() -> None:
            for _ in left:
                try:
                    async with pool.post(f"{url}/v1/chat/completions", json=_BODY) as answer:
                        await answer.read()
                        if answer.status == 200:
                            answered.add(answer.headers["x-nightschool-interaction"])
                except (aiohttp.ClientError, OSError):
                    return

        await asyncio.gather(*(client() for _ in range(64)))


def kept(home: Home, count: int) -> dict[str, int]:
    """Half of the requests, kill -9 among them, a restart, the other half; then the log is read."""
    answered: set[str] = set()

    with serving(home) as server:

        def kill() -> None:
            while len(answered) < count // 4:
                time.sleep(0.01)
            server.send_signal(signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        asyncio.run(_flood(door_of(home)[0], count // 2, answered))
        killer.join()
    before = len(answered)
    with serving(home):
        asyncio.run(_flood(door_of(home)[0], count - before, answered))
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


def play(quick: bool, litellm: str | None, engines: list[str]) -> dict[str, Any]:
    """Everything, on an installation for each engine: the embedded one, real ones, a stub."""
    found: dict[str, Any] = {"swaps": {}}
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
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        with serving(home):
            plant(home, RIGHT, 1, wrong=False)
            plant(home, WRONG, 2, wrong=True)
            versions = [WRONG, RIGHT] * (50 if quick else 500)
            found["swaps"]["embedded"] = asyncio.run(swaps(home, versions))
            found["throughput"] = asyncio.run(throughput(home))
        for kind in engines:
            with engine(kind, home), serving(home):
                found["swaps"][kind] = swapped_on(kind, home, quick)
    return found


def swapped_on(kind: str, home: Home, quick: bool) -> dict[str, Any]:
    """llama-server has a process for each version, so what counts there are new ones."""
    if kind == "llama-server":
        new = copies(home, 5 if quick else 50)
        return asyncio.run(swaps(home, list(new), new))
    return asyncio.run(swaps(home, [WRONG, RIGHT] * (10 if quick else 100)))


def swap_rows(kind: str, found: dict[str, Any]) -> list[Row]:
    """The bars for one engine."""
    activations = found["milliseconds"]
    what = "new versions" if kind == "llama-server" else "activations"
    rows = [
        Row(
            f"{kind}: {len(activations)} {what} under load; failed, mixed or stale of {found['asked']} answers",
            "0, 0",
            f"{found['failed']}, {found['mixed']}",
            found["failed"] == found["mixed"] == 0,
        ),
        Row(
            f"{kind}: rollback until the old version answers, s",
            "≤ 1",
            f"{found['rollback_seconds']:.2f}",
            found["rollback_seconds"] <= 1,
        ),
    ]
    if kind == "embedded":
        median, worst = percentile(activations, 0.5), percentile(activations, 0.99)
        within = median <= 5 and worst <= 50
        rows.insert(1, Row(f"{kind}: activation, p50 / p99, ms", "≤ 5 / ≤ 50", f"{median:.1f} / {worst:.1f}", within))
    return rows


def rows_of(found: dict[str, Any]) -> list[Row]:
    """The bars of docs/engines.md."""
    took, log = found["overhead"], found["kept"]
    added = {
        name: [percentile(values, share) - percentile(took["direct"], share) for share in (0.5, 0.99)]
        for name, values in took.items()
        if name != "direct"
    }
    ours = added["gateway"]
    ratio = found["throughput"]["sixteen"] / found["throughput"]["one"]
    rows = [
        *(row for kind, each in found["swaps"].items() for row in swap_rows(kind, each)),
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
    parser.add_argument("--engines", nargs="+", default=[], choices=["vllm", "llama-server"], help="real ones to ask")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.chdir(REPOSITORY)
    found = play(options.quick, options.litellm, options.engines)
    finish("serving", rows_of(found), found if options.quick else {}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
