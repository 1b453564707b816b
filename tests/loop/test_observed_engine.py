"""The gateway before somebody else's OpenAI-compatible server: it passes on, logs, and deploys nothing."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
from conftest import Home, make_home, wait_for
from stand_in import StandIn, piece, send, stream, whole


@pytest.fixture(scope="module")
def theirs() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def observing(theirs: StandIn, tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Iterator[Home]:
    home = make_home(tmp_path_factory.mktemp("observing"), base_model)
    home.environment = {
        "NIGHTSCHOOL_ENGINE__KIND": "openai",
        "NIGHTSCHOOL_ENGINE__URL": theirs.url,
        "NIGHTSCHOOL_ENGINE__TIMEOUT": "2",
        "NIGHTSCHOOL_ENGINE__BACKGROUND": "2",
    }
    with home.serving():
        yield home


def post(home: Home, **more: object) -> requests.Response:
    body = {"model": "starter", "messages": [{"role": "user", "content": "hi"}], **more}
    return requests.post(f"{home.url}/v1/chat/completions", json=body, timeout=60)


def test_the_whole_request_is_passed_on_under_their_name(observing: Home, theirs: StandIn) -> None:
    theirs.behaviour = lambda handler, _: send(handler, whole("yes"))
    answer = post(observing, response_format={"type": "json_object"}, temperature=0.5).json()
    assert answer["choices"][0]["message"]["content"] == "yes"
    assert theirs.body["model"] == "their-model"
    assert (theirs.body["response_format"], theirs.body["temperature"]) == ({"type": "json_object"}, 0.5)


@pytest.mark.parametrize(("status", "body", "seen"), [(400, b"{}", 400), (200, b"<html>", 502), (500, b"", 502)])
def test_their_errors_are_openai_style_and_logged(
    observing: Home, theirs: StandIn, status: int, body: bytes, seen: int
) -> None:
    theirs.behaviour = lambda handler, _: send(handler, body, status)
    for streamed in (False, True):
        user = f"{status}-{streamed}"
        answer = post(observing, stream=streamed, user=user)
        assert answer.status_code == seen
        assert "HTTP" in answer.json()["error"]["message"]
        logged = [
            row for row in observing.lines("logs/interactions/*.jsonl") if row.get("user") == f"{status}-{streamed}"
        ]
        # What no model could answer is no failure of this one.
        assert [row.get("success") for row in logged] == [None if status == 400 else False]
        assert logged[0]["error"]


def test_a_stream_passes_through_and_is_logged_whole(observing: Home, theirs: StandIn) -> None:
    theirs.behaviour = lambda handler, _: stream(handler, [piece("for"), piece("ty", "stop")])
    answer = post(observing, stream=True, user="streamer")
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]) == "forty"
    wait_for(lambda: "streamer" in str(observing.lines("logs/interactions/*.jsonl")), 10)
    (row,) = [row for row in observing.lines("logs/interactions/*.jsonl") if row.get("user") == "streamer"]
    assert row["answer"] == "forty"
    assert "success" not in row  # they do not say how sure they are


def test_the_nights_own_requests_wait_in_the_gateway_and_people_go_past_them(observing: Home, theirs: StandIn) -> None:
    let_go, held = threading.Event(), []

    def hold_drafts(handler: BaseHTTPRequestHandler, _: int) -> None:
        if theirs.body["messages"][-1]["content"] == "draft":
            held.append(1)
            let_go.wait(30)
        send(handler, whole("yes"))

    theirs.behaviour = hold_drafts
    draft = {"messages": [{"role": "user", "content": "draft"}]}
    url, header = f"{observing.url}/v1/chat/completions", {"x-nightschool-purpose": "teacher"}
    with ThreadPoolExecutor(6) as pool:
        drafts = [pool.submit(requests.post, url, json=draft, headers=header, timeout=60) for _ in range(6)]
        wait_for(lambda: len(held) == 2, 10)
        assert post(observing).ok
        assert len(held) == 2
        let_go.set()
        assert all(each.result().ok for each in drafts)


def test_nothing_can_be_deployed_there(observing: Home) -> None:
    refused = observing.control("load", "20300101T000000Z")
    assert refused.status_code == 409
    assert observing.health()["engine"] == "openai"
    assert observing.health()["adapter"] == "base"


def test_an_engine_that_is_down_ends_serve_with_one_clear_error(home: Home) -> None:
    home.environment = {"NIGHTSCHOOL_ENGINE__KIND": "vllm", "NIGHTSCHOOL_ENGINE__URL": "http://127.0.0.1:9"}
    done = home.run("serve")
    assert done.returncode == 69
    assert "127.0.0.1:9" in done.stderr
