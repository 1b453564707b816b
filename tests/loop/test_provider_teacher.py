"""A harvest whose teacher is another server's model, and no gateway runs."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import candidates
import pytest
from conftest import Home
from stand_in import StandIn, body_of, send, whole

TASKS = {each.question: each for each in candidates.tasks_of("teacher", 6, (1, 2))}


@pytest.fixture
def theirs() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.stop()


@pytest.fixture
def failed(home: Home, theirs: StandIn) -> Home:
    """A home in whose log six questions were answered wrongly."""
    rows = [
        {
            "kind": "interaction",
            "id": f"{number:024x}",
            "source": "gateway",
            "at": time.time() - 60,
            "messages": task.messages,
            "answer": candidates.wrong(task),
            "check": task.check,
            "success": False,
        }
        for number, task in enumerate(TASKS.values())
    ]
    folder = home.folder / "logs" / "interactions"
    folder.mkdir(parents=True)
    (folder / f"{time.strftime('%Y-%m-%d', time.gmtime(rows[0]['at']))}.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    home.environment = {
        "NIGHTSCHOOL_HARVEST__TEACHER": "providers",
        "NIGHTSCHOOL_PROVIDERS__ORDER": "openai",
        "NIGHTSCHOOL_PROVIDERS__OPENAI_URL": theirs.url,
        "NIGHTSCHOOL_PROVIDERS__OPENAI_MODEL": "their-model",
        "NIGHTSCHOOL_HARVEST__SAMPLES": "4",
    }
    return home


def test_what_it_answers_is_harvested_under_its_name_if_executing_shows_it_right(failed: Home, theirs: StandIn) -> None:
    def knows_half(handler: BaseHTTPRequestHandler, _: int) -> None:
        prompt = body_of(handler)["messages"][-1]["content"]
        question = prompt.removeprefix("QUERY:\n").split("\n\nBAD_RESPONSE:")[0]
        right = list(TASKS).index(question) % 2 == 0
        program = (candidates.right if right else candidates.wrong)(TASKS[question])
        send(handler, whole(f"REASONING: it added too much\nANSWER:\n```\n{program}\n```"))

    theirs.behaviour = knows_half
    failed.result("harvest")
    rewrites = failed.lines("training_data/harvest_????????.jsonl")
    assert {row["instruction"] for row in rewrites} == set(list(TASKS)[::2])
    assert {row["teacher"] for row in rewrites} == {"openai/their-model"}
    assert {row["reasoning"] for row in rewrites} == {"it added too much"}
    assert all(row["output"] == candidates.right(TASKS[row["instruction"]]) for row in rewrites)


def test_a_teacher_that_is_down_is_unavailable_and_named(failed: Home) -> None:
    failed.environment["NIGHTSCHOOL_PROVIDERS__OPENAI_URL"] = "http://127.0.0.1:9"
    done = failed.run("harvest")
    assert done.returncode == 69
    assert "openai/their-model" in done.stderr
