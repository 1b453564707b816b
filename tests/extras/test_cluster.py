"""The same harvest in one process and on a Ray cluster of two nodes (both on this machine): the same rows."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import candidates
import pytest
from conftest import Home
from stand_in import StandIn, body_of, send, whole

TASKS = {each.question: each for each in candidates.tasks_of("cluster", 60, (1, 2))}
PORT = 6391


def ray(folder: Path, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("ray")), *arguments]
    environment = {**os.environ, "RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)


@pytest.fixture
def cluster() -> Iterator[str]:
    folder = Path("/tmp") / f"ray{os.getpid()}"  # its sockets take no long paths
    address = f"127.0.0.1:{PORT}"
    node = ("--node-ip-address=127.0.0.1", "--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats")
    try:
        ray(folder, "start", "--head", f"--port={PORT}", "--include-dashboard=false", *node)
        ray(folder, "start", f"--address={address}", *node)
        yield address
    finally:
        ray(folder, "stop", "--force")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def teacher() -> Iterator[StandIn]:
    """Knows half of the tasks."""
    server = StandIn()

    def knows_half(handler: BaseHTTPRequestHandler, _: int) -> None:
        question = body_of(handler)["messages"][-1]["content"]
        right = list(TASKS).index(question) % 2 == 0
        send(handler, whole((candidates.right if right else candidates.wrong)(TASKS[question])))

    server.behaviour = knows_half
    yield server
    server.stop()


def fill(home: Home, teacher: StandIn) -> None:
    rows: list[dict[str, Any]] = []
    for number, task in enumerate([*TASKS.values(), *TASKS.values()]):
        row = {
            "kind": "interaction",
            "id": f"{number:024x}",
            "source": "gateway",
            "session": f"s{number % 7}",
            "at": time.time() - 3600 + number,
            "messages": task.messages,
            "answer": candidates.wrong(task),
            "check": task.check,
            "success": number % 5 == 0,
        }
        rows.append(row)
        if number % 10 == 0:
            said = {"thumb": -1, "edited": candidates.right(task)}
            rows.append({"kind": "feedback", "interaction_id": row["id"], "at": time.time() - 60, **said})
    folder = home.folder / "logs" / "interactions"
    folder.mkdir(parents=True)
    (folder / f"{time.strftime('%Y-%m-%d', time.gmtime())}.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    home.environment = {
        "NIGHTSCHOOL_HARVEST__TEACHER": "providers",
        "NIGHTSCHOOL_PROVIDERS__ORDER": "openai",
        "NIGHTSCHOOL_PROVIDERS__OPENAI_URL": teacher.url,
        "NIGHTSCHOOL_PROVIDERS__OPENAI_MODEL": "their-model",
        "NIGHTSCHOOL_HARVEST__SAMPLES": "4",
        "NIGHTSCHOOL_HARVEST__PROMPT": "plain",
    }


def harvested(home: Home, *options: str) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """What was selected, in its order; what was rewritten and what was not, by interaction."""
    result = home.result("harvest", *options)
    failures = [line for path in home.folder.glob("training_data/failures_*") for line in path.read_text().split("\n")]
    rewrites = {row["interaction_id"]: row for row in home.lines("training_data/harvest_????????.jsonl")}
    unsolved = {row["interaction_id"]: row for row in home.lines("training_data/harvest_*.unsolved.jsonl")}
    assert result["rewrites"] == len(rewrites)
    shutil.rmtree(home.folder / "training_data")
    return sorted(failures), rewrites, unsolved


def test_a_cluster_of_two_nodes_harvests_the_same_rows_as_one_process(
    home: Home, teacher: StandIn, cluster: str
) -> None:
    fill(home, teacher)
    alone = harvested(home)
    assert len(alone[1]) > 20
    assert len(alone[2]) > 10
    home.environment["NIGHTSCHOOL_HARVEST__RAY_ADDRESS"] = cluster
    assert harvested(home, "--executor", "ray") == alone


def test_a_cluster_that_does_not_answer_is_unavailable_and_named(home: Home) -> None:
    home.environment["NIGHTSCHOOL_HARVEST__RAY_ADDRESS"] = "127.0.0.1:9"
    done = home.run("harvest", "--executor", "ray")
    assert done.returncode == 69
    assert "no Ray cluster at 127.0.0.1:9" in done.stderr
