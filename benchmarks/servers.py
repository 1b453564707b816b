"""Servers for benchmarks, and a client that asks them."""

import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aiohttp
import requests

from benchmarks.home import REPOSITORY, Home


def door_of(home: Home) -> tuple[str, dict[str, str]]:
    """Where the gateway of a home listens, and what opens its control endpoints."""
    url = json.loads((home.folder / "logs" / "server.json").read_text(encoding="utf-8"))["url"]
    token = (home.folder / "logs" / "control.token").read_text(encoding="ascii").strip()
    return str(url), {"authorization": f"Bearer {token}"}


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
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client with as many connections as it needs."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as pool:
        yield pool


@contextmanager
def engine(kind: str, home: Home) -> Iterator[None]:
    """A real engine with the starter's base model, behind which the home's gateway can be started."""
    url = f"http://127.0.0.1:{free_port()}"
    place = subprocess.run(
        ["bash", "-c", '. "$0"; echo "$llama_server"', REPOSITORY / "tests" / "engines" / "versions.sh"],
        capture_output=True,
        text=True,
        check=True,
    )
    home.variables |= {
        "NIGHTSCHOOL_ENGINE__KIND": kind,
        "NIGHTSCHOOL_ENGINE__URL": url,
        "NIGHTSCHOOL_ENGINE__PRESETS": "logs/presets.ini",
        "NIGHTSCHOOL_ENGINE__CONVERTERS": f"{place.stdout.strip()}/source",
    }
    if kind == "llama-server":
        home.run("starter", "gguf")
    command = [str(REPOSITORY / "cron" / "start_engine.sh"), kind, url.rpartition(":")[2]]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(command, f"{url}/health", env=home.variables, **quiet):
        yield
