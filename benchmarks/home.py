"""A fresh installation for a benchmark: days of traffic, and the nights that cron would run after them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
_VERDICTS = (20, 21)  # refused, inconclusive: a command has said so, and its result


class Home:
    """A fresh installation that shares the checkout's base model."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        """`variables` of the environment are settings besides those of every benchmark."""
        self.folder = folder
        for name in ("models", "loras", "training_data", "logs"):
            (folder / name).mkdir()
        (folder / "models" / "starter").symlink_to(REPOSITORY / "models" / "starter")
        program = str(Path(sys.executable).with_name("nightschool"))
        self.variables = {
            **os.environ,
            "NIGHTSCHOOL": program,
            "NIGHTSCHOOL_HOME": str(folder),
            "NIGHTSCHOOL_SERVER__PORT": "0",
            "MONITOR_DURATION": "10",
            "ROLLBACK_THRESHOLD_LATENCY": "30000",
            "NIGHTSCHOOL_HARVEST__MINUTES": "0.75",  # as `make night` does
            "NIGHTSCHOOL_CANARY__STOP_EARLY": "false",  # all 400 are wanted, not only enough for a verdict
            **(variables or {}),
        }

    def run(self, *arguments: str) -> dict[str, Any]:
        """One command's result.

        Raises:
            SystemExit: it failed. A canary that refuses has not.
        """
        command = [self.variables["NIGHTSCHOOL"], *arguments, "--json"]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)
        if done.returncode not in (0, *_VERDICTS):
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        return json.loads(done.stdout) if done.stdout else {}

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The gateway while the block runs."""
        server = subprocess.Popen([self.variables["NIGHTSCHOOL"], "serve"], env=self.variables)
        try:
            while not (self.folder / "logs" / "server.json").exists() and server.poll() is None:
                time.sleep(0.2)
            time.sleep(1)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()

    def night(self) -> int:
        """The wrapper; returns how it ended."""
        script = REPOSITORY / "cron" / "nightly_improvement.sh"
        return subprocess.run([script], env=self.variables, stdout=subprocess.DEVNULL, check=False).returncode

    def examined(self, run: str) -> list[dict[str, Any]]:
        """What the canary of a run asked from the hold-outs, with the answers of both sides; empty: there was none."""
        path = self.folder / "loras" / run / "canary.jsonl"
        if not path.is_file():
            return []
        lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        return [each for each in lines if each["suite"] == "holdout"]

    def most_drafts(self) -> int:
        """The most answers that were drawn for one failure in one round, of all harvests so far."""
        files = (self.folder / "training_data").glob("harvest_*.jsonl")
        lines = (json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines())
        return max((each["votes"].get("cast", 0) for each in lines), default=0)


def build_starter() -> None:
    """The base model, unless it is there."""
    program = Path(sys.executable).with_name("nightschool")
    subprocess.run([program, "starter", "build"], cwd=REPOSITORY, stdout=sys.stderr, check=True)


def timed(story: Mapping[str, Any]) -> tuple[list[tuple[str, float]], float]:
    """Of a night's report: each stage's seconds, and those from the harvest to the deployment, without the watch."""
    seconds = [(line["stage"], line["seconds"]) for line in story["stages"]]
    watched = (story["deployment"] or {}).get("watch", {}).get("seconds", 0.0)
    return seconds, sum(each for _, each in seconds) - watched
