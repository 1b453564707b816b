"""Real engines, each started as `make night ENGINE=…` starts it, with the starter's base model."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import candidates
import requests
from conftest import REPOSITORY, Home, make_home, wait_for

# Learned to add one to every result, learned to add two, and the first with other scales (rsLoRA, alpha_pattern).
ONE_MORE, TWO_MORE, ROOT_SCALED = "20300401T000000Z", "20300402T000000Z", "20300403T000000Z"
VERSIONS = (ONE_MORE, TWO_MORE, ROOT_SCALED)
_START = REPOSITORY / "cron" / "start_engine.sh"


@dataclass
class EngineProcess:
    """An engine on a loopback port; the embedded one is in the gateway and has no process of its own."""

    kind: str
    home: Home
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        if self.kind == "embedded":
            return
        with (self.home.folder / "logs" / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(
                [_START, self.kind, str(self.port)],
                env=self.home.variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers, 300)

    def stop(self) -> None:
        """Without any grace: what it held in memory is gone."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home.folder / "logs" / "engine.log").read_text()[-3000:]
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=5).ok
        except OSError:
            return False


def _llama_server() -> Path:
    """Where `make engines` has put it."""
    versions = REPOSITORY / "tests" / "engines" / "versions.sh"
    told = subprocess.run(
        ["bash", "-c", '. "$0"; echo "$llama_server"', versions], capture_output=True, text=True, check=True
    )
    return Path(told.stdout.strip())


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def train_all(home: Home) -> None:
    """Make the three generations."""
    tasks = candidates.tasks_of("engines", 64, (1, 2))
    for run, more in ((ONE_MORE, 1), (TWO_MORE, 2)):
        candidates.write_dataset(home, run, [(task, candidates.wrong(task, more)) for task in tasks])
        done = home.run("--set", "train.epochs=6", "train", "--run", run)
        assert done.returncode == 0, done.stderr
    shutil.copytree(home.folder / "training_data" / ONE_MORE, home.folder / "training_data" / ROOT_SCALED)
    candidates.altered(home, ONE_MORE, ROOT_SCALED, candidates.rescaled)
    candidates.reconfigured(home, ROOT_SCALED, use_rslora=True, alpha_pattern={"layers.0.self_attn.q_proj": 24})


@contextmanager
def installation(kind: str, folder: Path, trained: Path, base: Path) -> Iterator[tuple[Home, EngineProcess]]:
    """A home with these generations, its engine, and a gateway in front of it."""
    home = make_home(folder, base)
    for name in ("loras", "training_data"):
        shutil.copytree(trained / name, home.folder / name, dirs_exist_ok=True, symlinks=True)
    engine = EngineProcess(kind, home, free_port())
    home.environment = {
        "NIGHTSCHOOL_ENGINE__KIND": kind,
        "NIGHTSCHOOL_ENGINE__URL": f"http://127.0.0.1:{engine.port}",
        "NIGHTSCHOOL_ENGINE__PRESETS": "logs/presets.ini",
        "NIGHTSCHOOL_ENGINE__CONVERTERS": str(_llama_server() / "source"),
    }
    if kind == "llama-server":
        target = base.with_suffix(".gguf")
        if not target.is_file():
            assert Home(REPOSITORY, home.environment).run("starter", "gguf").returncode == 0
        (home.folder / "models" / "starter.gguf").symlink_to(target)
    engine.start()
    try:
        with home.serving():
            yield home, engine
    finally:
        engine.stop()


def control(home: Home, verb: str, version: str, **more: Any) -> dict[str, Any]:
    body = {"version": version, **more}
    answer = requests.post(f"{home.url}/control/{verb}", json=body, headers=home.token, timeout=600)
    assert answer.ok, answer.text
    return dict(json.loads(answer.text))
