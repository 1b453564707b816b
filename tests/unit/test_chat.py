"""The chat door of the gateway, in this process, before an engine that does what it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.backends.engines.chat import Completion, Request
from pipeline.gateway.app import Gateway
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.self_check import SelfCheck
from pipeline.gateway.share import CandidateShare
from pipeline.gateway.traffic import Traffic
from pipeline.lib import jsonl
from pipeline.lib.config import Settings

ASKED = [{"role": "user", "content": "a question"}]


class Engine:
    """Has two versions. It counts the tokens of a chat when it `may`, and then something may happen (`meanwhile`)."""

    name = "stand-in"
    waiting = 0

    def __init__(self) -> None:
        self.active = "base"
        self.may = threading.Event()
        self.may.set()
        self.counting = threading.Event()
        self.meanwhile = lambda: None
        self.asked: list[Request] = []

    def versions(self) -> dict[str, str | None]:
        return {"base": None, "new": "0" * 64}

    def room(self, messages: list[dict[str, str]]) -> int:
        self.counting.set()
        self.may.wait(20)
        self.meanwhile()
        self.counting.clear()
        return 100

    def admit(self, request: Request) -> Any:
        self.asked.append(request)
        request.future.set_result(Completion("yes", "stop", 3, ["yes"], [-0.1], [], request.version, time.monotonic()))
        return request.future

    def close(self) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@contextmanager
def opened(settings: Settings, engine: Engine, share: CandidateShare | None = None) -> Iterator[TestClient]:
    log, check = InteractionLog(settings.layout.interactions), SelfCheck(settings, engine)
    gateway = Gateway(settings, engine, log, Traffic(), "", "token", check, share or CandidateShare())
    with TestClient(gateway.app()) as client:
        yield client


def ask(client: TestClient, **fields: Any) -> Any:
    return client.post("/v1/chat/completions", json={"messages": ASKED, **fields})


def logged(settings: Settings) -> list[dict[str, Any]]:
    return [line for path in settings.layout.interactions.glob("*.jsonl") for line in jsonl.read(path)]


def test_others_are_answered_while_the_tokens_of_a_long_chat_are_counted(settings: Settings) -> None:
    engine, answers = Engine(), []
    engine.may.clear()
    with opened(settings, engine) as client:
        long = threading.Thread(target=lambda: answers.append(ask(client)))
        long.start()
        assert engine.counting.wait(20)
        assert client.get("/health").status_code == 200
        still_counting = engine.counting.is_set()
        engine.may.set()
        long.join()
    assert still_counting
    assert answers[0].status_code == 200


def test_places_that_others_took_while_tokens_were_counted_are_taken(settings: Settings) -> None:
    engine = Engine()
    engine.meanwhile = lambda: setattr(engine, "waiting", settings.server.queue)
    with opened(settings, engine) as client:
        assert ask(client).json()["error"]["type"] == "overloaded_error"
    assert engine.asked == []


@pytest.mark.parametrize(("model", "answers"), [("", "new"), ("starter", "new"), ("starter@base", "base")])
def test_the_public_name_means_what_is_active_when_a_chat_is_admitted(
    settings: Settings, model: str, answers: str
) -> None:
    engine = Engine()
    engine.meanwhile = lambda: setattr(engine, "active", "new")
    with opened(settings, engine) as client:
        assert ask(client, model=model).json()["system_fingerprint"] == answers
    assert [line["adapter"] for line in logged(settings)] == [answers]


def test_a_share_that_ended_before_a_chat_was_admitted_is_not_given(settings: Settings) -> None:
    engine, share = Engine(), CandidateShare()
    share.begin("new", 1.0, 600)
    engine.meanwhile = share.end
    with opened(settings, engine, share) as client:
        assert ask(client).json()["system_fingerprint"] == "base"


@pytest.mark.parametrize("seed", [2**63 - 128, 2**70, -(2**63) - 1])
def test_a_seed_that_no_engine_takes_is_refused(settings: Settings, seed: int) -> None:
    engine = Engine()
    with opened(settings, engine) as client:
        assert ask(client, seed=seed).status_code == 400
        assert ask(client, seed=2**63 - 129, n=128).status_code == 200
    assert max(request.seed for request in engine.asked) == 2**63 - 2


@pytest.mark.parametrize(("stop", "stops"), [("", ()), (["", "HALT"], ("HALT",)), (None, ()), ("x", ("x",))])
def test_an_empty_stop_text_is_none(settings: Settings, stop: Any, stops: tuple[str, ...]) -> None:
    engine = Engine()
    with opened(settings, engine) as client:
        assert ask(client, stop=stop).status_code == 200
    assert engine.asked[0].stop == stops
