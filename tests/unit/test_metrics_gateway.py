"""What the gateway, `feedback` and `versions prune` do to the metrics: the gateway in this process, before an engine
that answers every question alike."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.backends.engines.chat import Completion, Request
from pipeline.backends.engines.interface import EngineError, NotServingError, UpstreamError
from pipeline.backends.sources.own_log import OwnLog
from pipeline.feedback import give
from pipeline.gateway.app import Gateway
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.self_check import SelfCheck
from pipeline.gateway.traffic import Traffic
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.records import failure_signal
from pipeline.metrics.rebuild import rebuild
from pipeline.metrics.rows import QueryMetric
from pipeline.metrics.store import MetricsStore, reading
from pipeline.prune import prune

ASKED = [{"role": "user", "content": "a secret question"}]


class Engine:
    """Has the base version only, and answers yes, or what `failure` is; or begins and never ends."""

    name = "stand-in"
    active = "base"
    waiting = 0

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.ends = True

    def versions(self) -> dict[str, str | None]:
        return {"base": None}

    def room(self, messages: list[dict[str, str]]) -> int | None:
        return None

    def admit(self, request: Request) -> Any:
        if self.failure is not None:
            request.future.set_exception(self.failure)
            return request.future
        if request.on_delta is not None:
            request.on_delta({"content": "yes"})
        if not self.ends:
            return request.future
        request.future.set_result(Completion("yes", "stop", 3, ["yes"], [-0.1], [], "base", time.monotonic()))
        return request.future

    def close(self) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    return Settings(home=tmp_path, server={"port": port})


@contextmanager
def opened(settings: Settings, engine: Engine, traffic: Traffic | None = None) -> Iterator[TestClient]:
    log, check = InteractionLog(settings.layout.interactions), SelfCheck(settings, engine)
    store = MetricsStore.of(settings)
    gateway = Gateway(settings, engine, log, traffic or Traffic(), "", "token", check, store=store)
    with TestClient(gateway.app()) as client:
        yield client


def ask(client: TestClient, purpose: str | None = None, **fields: Any) -> Any:
    headers = {"x-nightschool-purpose": purpose} if purpose else None
    return client.post("/v1/chat/completions", json={"messages": ASKED, **fields}, headers=headers)


def rows(settings: Settings, table: str = "query_metrics") -> list[dict[str, Any]]:
    with reading(settings.layout.metrics) as db:
        return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1")]


def test_a_request_and_what_is_said_about_it_are_recorded_when_the_gateway_stops(settings: Settings):
    with opened(settings, Engine()) as client:
        identity = ask(client).headers["x-nightschool-interaction"]
        ask(client, purpose="canary")
        said = {"interaction_id": identity, "thumb": -1, "edited": "the better answer"}
        assert client.post("/v1/feedback", json=said).status_code == 200
    (query,) = rows(settings)
    assert (query["interaction_id"], query["agent"], query["adapter"]) == (identity, "starter", "base")
    assert (query["tokens"], query["success"], query["error"], query["query_type"]) == (1, 1, None, "trained")
    assert 0 < query["first_token_ms"] <= query["latency_ms"]
    (feedback,) = rows(settings, "feedback_metrics")
    assert (feedback["interaction_id"], feedback["thumb"], feedback["edited"]) == (identity, -1, 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "kind", "success"),
    [
        (EngineError("too long"), "invalid_request_error", None),
        (UpstreamError("gone", 502), "server_error", 0),
        (ValueError("a secret"), "server_error", 0),
    ],
)
def test_a_request_that_fails_is_recorded_with_the_kind_of_its_error(
    settings: Settings, failure: Exception, kind: str, success: int | None, stream: bool
):
    engine = Engine()
    engine.failure = failure
    with opened(settings, engine) as client:
        assert ask(client, stream=stream).status_code >= 400
    (query,) = rows(settings)
    assert (query["error"], query["success"], query["tokens"]) == (kind, success, None)
    assert query["latency_ms"] is None  # nothing was answered
    (day,) = rows(settings, "daily_summaries")
    assert (day["queries"], day["errors"], day["latency_ms_count"]) == (1, int(kind == "server_error"), 0)


@pytest.mark.parametrize(
    ("failure", "fields", "counts"),
    [
        (EngineError("too long"), {}, False),
        (UpstreamError("too long", 400), {}, False),
        (None, {"stream": True, "n": 2}, False),
        (UpstreamError("no such model", 404), {}, True),
        (UpstreamError("gone", 502), {}, True),
        (NotServingError("version 'base' is not loaded"), {}, True),
        (ValueError("a bug"), {}, True),
    ],
)
def test_only_what_the_model_is_to_blame_for_counts_against_it(
    settings: Settings, failure: Exception | None, fields: dict[str, Any], counts: bool
):
    engine = Engine()
    engine.failure = failure
    traffic = Traffic()
    with opened(settings, engine, traffic) as client:
        for _ in range(3):
            assert ask(client, **fields).status_code >= 400
    assert traffic.window("base", 0)["trailing_errors"] == (3 if counts else 0)


def test_a_full_queue_does_not_count_against_the_model_and_says_what_it_is(settings: Settings):
    engine, traffic = Engine(), Traffic()
    engine.waiting = settings.server.queue
    with opened(settings, engine, traffic) as client:
        answer = ask(client)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded_error")
    assert traffic.window("base", 0)["errors"] == 0


def test_who_stops_a_stream_does_not_count_against_the_model(settings: Settings):
    engine, traffic = Engine(), Traffic()
    engine.ends = False
    log, check = InteractionLog(settings.layout.interactions), SelfCheck(settings, engine)
    app = Gateway(settings, engine, log, traffic, "", "token", check).app()
    body = json.dumps({"messages": ASKED, "stream": True}).encode()
    heard = iter([{"type": "http.request", "body": body}, {"type": "http.disconnect"}])
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return next(heard)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [],
        "asgi": {"spec_version": "2.0"},
    }
    asyncio.run(app(scope, receive, send))
    log.close()
    assert sent[0]["status"] == 200
    (row,) = (row for path in settings.layout.interactions.glob("*.jsonl") for row in jsonl.read(path))
    assert (row["error"], row["error_kind"], row["answer"]) == ("the client went away", "client_gone", "yes")
    assert "success" not in row
    (read,) = OwnLog(settings.layout.interactions).interactions(0, time.time() + 1)
    assert failure_signal(read) is None
    assert traffic.window("base", 0)["trailing_errors"] == 0


def test_nothing_that_people_wrote_is_in_the_store(settings: Settings):
    with opened(settings, Engine()) as client:
        identity = ask(client, user="Ada Lovelace").headers["x-nightschool-interaction"]
        client.post("/v1/feedback", json={"interaction_id": identity, "comment": "a secret comment"})
    content = settings.layout.metrics.read_bytes()
    assert identity.encode() in content
    assert b"secret" not in content
    assert b"Ada" not in content


def test_the_rows_that_the_gateway_wrote_are_those_that_its_log_gives(settings: Settings):
    engine = Engine()
    with opened(settings, engine) as client:
        for failure in (EngineError("too long"), UpstreamError("gone", 502), None):
            engine.failure = failure
            ask(client)
        for stream in (False, True, False):
            identity = ask(client, stream=stream).headers["x-nightschool-interaction"]
        ask(client, stream=True, n=2)
        client.post("/v1/feedback", json={"interaction_id": identity, "thumb": 1})
    tables = ("query_metrics", "feedback_metrics", "daily_summaries", "daily_latencies", "daily_feedback")
    before = [rows(settings, table) for table in tables]
    rebuild(settings.layout.metrics, settings.layout.interactions, agent="starter", days=90, now=time.time())
    assert [rows(settings, table) for table in tables] == before


def test_feedback_without_a_gateway_is_recorded_too(settings: Settings):
    with opened(settings, Engine()) as client:
        identity = ask(client).headers["x-nightschool-interaction"]
    give(settings, identity, {"thumb": 1})
    assert [row["thumbs_up"] for row in rows(settings, "daily_feedback")] == [1]


def test_old_rows_go_when_old_generations_do_and_not_in_a_dry_run(settings: Settings):
    with MetricsStore.of(settings) as store:
        store.add(QueryMetric("0", time.time() - 91 * 86_400, "starter"))
        store.add(QueryMetric("1", time.time(), "starter"))
    assert prune(settings, dry_run=True)["metrics_rows"] == 0
    assert len(rows(settings)) == 2
    assert prune(settings, dry_run=False)["metrics_rows"] == 1
    assert [row["interaction_id"] for row in rows(settings)] == ["1"]
