"""Homes, servers and commands as cron would meet them. The base model is made once and kept in models/."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests

REPOSITORY = Path(__file__).resolve().parent.parent
FIXED = {
    "NIGHTSCHOOL_SERVER__PORT": "0",
    # No right answer is longer; a broken candidate would ramble on.
    "NIGHTSCHOOL_SERVER__MAX_TOKENS": "64",
    # Enough to learn from; a real night draws more.
    "NIGHTSCHOOL_HARVEST__SAMPLES": "16",
    "NIGHTSCHOOL_NIGHT__ROUNDS": "1",
    "NIGHTSCHOOL_DATASET__REHEARSAL": "",
    # These machines are shared: a slow answer is no reason to roll back here.
    "ROLLBACK_THRESHOLD_LATENCY": "30000",
    "MONITOR_DURATION": "3",
}


# A slow example says something of these shared machines, nothing of the code.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


def pytest_configure() -> None:
    """Each of several test processes keeps to one processor, with all that it starts.

    Two models that each want every processor wait for one another far longer than they compute.
    """
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(worker.removeprefix("gw")) % len(processors)]})


@dataclass
class Home:
    """One installation in a temporary folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("NIGHTSCHOOL_")}
        program = str(Path(sys.executable).with_name("nightschool"))
        return {**inherited, **FIXED, "NIGHTSCHOOL": program, "NIGHTSCHOOL_HOME": str(self.folder), **self.environment}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipeline.cli", *arguments]

    def run(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), env=self.variables, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def result(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*arguments), env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def night(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """The wrapper, as cron starts it."""
        script = REPOSITORY / "cron" / "nightly_improvement.sh"
        variables = {**self.variables, **environment}
        return subprocess.run([script], env=variables, capture_output=True, text=True, timeout=600, check=False)

    def typed(self, lines: str) -> str:
        """What these lines print in a shell that knows `nightschool`, in this folder; each must end well."""
        program = f'nightschool() {{ {" ".join(self.command())} "$@"; }}'
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{program}\n{lines}"],
            cwd=self.folder,
            env={**self.variables, "PYTHONPATH": str(REPOSITORY), "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def url(self) -> str:
        return str(json.loads((self.folder / "logs" / "server.json").read_text())["url"])

    @property
    def token(self) -> dict[str, str]:
        return {"authorization": f"Bearer {(self.folder / 'logs' / 'control.token').read_text()}"}

    def health(self) -> dict[str, Any]:
        return requests.get(f"{self.url}/health", timeout=30).json()

    def ask(self, question: str, model: str = "starter", **options: Any) -> dict[str, Any]:
        body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, **options}
        answer = requests.post(f"{self.url}/v1/chat/completions", json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def control(self, verb: str, version: str) -> requests.Response:
        return requests.post(f"{self.url}/control/{verb}", json={"version": version}, headers=self.token, timeout=60)

    def lines(self, pattern: str) -> list[dict[str, Any]]:
        """The records of all files that match, below this home."""
        return [
            json.loads(line) for path in sorted(self.folder.glob(pattern)) for line in path.read_text().splitlines()
        ]

    @property
    def current(self) -> str:
        return (self.folder / "loras" / "current").readlink().name

    @contextmanager
    def serving(self) -> Iterator["subprocess.Popen[str]"]:
        """The gateway, until the block ends; its standard error goes to a file."""
        (self.folder / "logs").mkdir(exist_ok=True)
        (self.folder / "logs" / "server.json").unlink(missing_ok=True)
        with (self.folder / "logs" / "serve.err").open("w") as errors:
            server = subprocess.Popen(
                self.command("serve"), env=self.variables, stdout=errors, stderr=errors, text=True
            )
            try:
                wait_for(lambda: server.poll() is not None or _answers(self), 120)
                assert server.poll() is None, (self.folder / "logs" / "serve.err").read_text()
                yield server
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=60)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def _answers(home: Home) -> bool:
    try:
        return home.health()["status"] == "ok"
    except (OSError, ValueError):
        return False


@pytest.fixture(scope="session")
def base_model() -> Path:
    """The starter's base model, made by its own command if this checkout has none."""
    folder = REPOSITORY / "models" / "starter"
    home = Home(REPOSITORY)
    done = home.run("starter", "build")
    assert done.returncode == 0, done.stderr
    return folder


def make_home(folder: Path, base: Path) -> Home:
    for name in ("models", "loras", "training_data", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "models" / "starter").symlink_to(base)
    return Home(folder)


@pytest.fixture
def home(tmp_path: Path, base_model: Path) -> Home:
    """A fresh installation without a server."""
    return make_home(tmp_path, base_model)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Iterator[Home]:
    """An installation with a running gateway, shared by the tests of a module."""
    home = make_home(tmp_path_factory.mktemp("served"), base_model)
    with home.serving():
        yield home
