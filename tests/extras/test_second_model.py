"""Real teachers: a better-trained starter behind another gateway, asked in OpenAI's way and in Ollama's way."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import candidates
import pytest
import requests
from conftest import Home, make_home
from stand_in import StandIn, body_of, send

SETTINGS = """
[harvest]
teachers = ["better", "better-by-ollama"]
prompt = "plain"  # a starter knows no instructions
minutes = 1
samples = 8

[[providers.models]]
name = "better"
kind = "openai"
url = "{openai}/v1"
model = "starter"

[[providers.models]]
name = "better-by-ollama"
kind = "ollama"
url = "{ollama}"
model = "starter"
"""


@pytest.fixture(scope="module")
def better(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A gateway that serves a starter which was taught right answers."""
    home = make_home(tmp_path_factory.mktemp("better"), base_model)
    candidates.write_dataset(
        home, "20260101T000000Z", ((task, task.program) for task in candidates.tasks_of("school", 250, (2, 3, 4)))
    )
    home.result("train", "--run", "20260101T000000Z")
    (home.folder / "loras" / "current").unlink(missing_ok=True)
    (home.folder / "loras" / "current").symlink_to("20260101T000000Z")
    with home.serving():
        yield home


@contextmanager
def by_ollama(home: Home) -> Iterator[StandIn]:
    """Ollama's way of asking, in front of a gateway: another door to the same real model."""

    def passed_on(handler: BaseHTTPRequestHandler, _: int) -> None:
        asked = body_of(handler)
        if not handler.path.endswith("/api/chat"):
            return send(handler, json.dumps({"model": "starter"}).encode())
        options = asked.get("options", {})
        wanted = {key: options[key] for key in ("temperature", "top_p", "seed") if options.get(key) is not None}
        body = {"model": "starter", "messages": asked["messages"], "max_tokens": options.get("num_predict"), **wanted}
        told = requests.post(f"{home.url}/v1/chat/completions", json=body, timeout=60).json()
        message, usage = told["choices"][0]["message"], told["usage"]
        counts = {"prompt_eval_count": usage["prompt_tokens"], "eval_count": usage["completion_tokens"]}
        return send(handler, json.dumps({"model": "starter", "message": message, "done": True, **counts}).encode())

    door = StandIn()
    door.behaviour = passed_on
    try:
        yield door
    finally:
        door.stop()


def test_a_night_learns_from_another_model_asked_in_both_ways(home: Home, better: Home) -> None:
    with by_ollama(better) as door, home.serving():
        (home.folder / "nightschool.toml").write_text(SETTINGS.format(openai=better.url, ollama=door.url))
        home.result("starter", "day", "--requests", "120", "--seed", "5")
        done = home.night()
        assert done.returncode in (0, 21), done.stdout + done.stderr
    rewrites = home.lines("training_data/harvest_????????.jsonl")
    names = {name for row in rewrites for name in row["teacher"].split(", ")}
    assert names == {"openai/starter", "ollama/starter"}
    assert {row["verified_by"] for row in rewrites} == {"vm"}
    assert len(rewrites) >= 15
    [generation] = (home.folder / "loras").glob("2*/generation.json")
    assert (generation.parent / "verdict.json").is_file()
