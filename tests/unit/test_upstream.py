"""StandIns that are lost, slow, or answer nonsense: one clear error, and nothing is asked twice in vain."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stand_in import StandIn, drop, piece, send, stream, whole

from pipeline.backends.engines.chat import Completion
from pipeline.backends.engines.interface import UpstreamError
from pipeline.backends.engines.upstream import Upstream


@pytest.fixture
def engine() -> Iterator[StandIn]:
    started = StandIn()
    yield started
    started.stop()


@pytest.fixture
def upstream(engine: StandIn) -> Iterator[Upstream]:
    client = Upstream(engine.url, None, timeout=0.5)
    yield client
    client.close()


def ask(upstream: Upstream, on_delta: Callable[[dict[str, Any]], None] | None = None) -> Completion:
    return upstream.run(upstream.chat({"messages": []}, "base", on_delta)).result(timeout=20)


def test_a_call_lost_before_its_first_byte_is_made_once_more(engine: StandIn, upstream: Upstream) -> None:
    engine.behaviour = lambda handler, asked: drop(handler) if asked == 1 else send(handler, whole())
    assert ask(upstream).text == "yes"
    assert engine.asked == 2


@pytest.mark.parametrize("status", [502, 503])
def test_a_busy_engine_is_asked_once_more_and_no_oftener(engine: StandIn, upstream: Upstream, status: int) -> None:
    engine.behaviour = lambda handler, _: send(handler, b'{"error": {"message": "loading"}}', status)
    with pytest.raises(UpstreamError, match="loading") as caught:
        ask(upstream)
    assert (caught.value.status, engine.asked) == (status, 2)


@pytest.mark.parametrize(
    ("body", "status", "words", "seen"),
    [
        (b"<html>It works!</html>", 200, "no chat.*It works", 502),
        (b'{"error": {"message": "out of memory"}}', 200, "out of memory", 502),
        (b'{"error": {"message": "too long"}}', 400, "too long", 400),
        (b'{"detail": "gone"}', 404, "gone", 404),
        (b"boom", 500, "boom", 502),
        (b"[]", 200, "no chat", 502),
    ],
)
def test_nonsense_and_refusals_are_one_clear_error(
    engine: StandIn, upstream: Upstream, body: bytes, status: int, words: str, seen: int
) -> None:
    engine.behaviour = lambda handler, _: send(handler, body, status)
    with pytest.raises(UpstreamError, match=words) as caught:
        ask(upstream)
    assert (caught.value.status, engine.asked) == (seen, 1)


def test_a_silent_engine_is_a_gateway_timeout_and_is_not_asked_again(engine: StandIn, upstream: Upstream) -> None:
    done = threading.Event()
    engine.behaviour = lambda *_: done.wait(5) and None
    with pytest.raises(UpstreamError, match="silent") as caught:
        ask(upstream)
    done.set()
    assert (caught.value.status, engine.asked) == (504, 1)


def test_an_engine_that_is_down_is_named(upstream: Upstream, engine: StandIn) -> None:
    engine.server.socket.close()
    gone = Upstream("http://127.0.0.1:9", None, 1)
    with pytest.raises(UpstreamError, match=r"127\.0\.0\.1:9") as caught:
        ask(gone)
    gone.close()
    assert caught.value.status == 502


def test_an_engine_that_is_down_is_named_without_its_login() -> None:
    gone = Upstream("http://ann:hunter2@127.0.0.1:9", None, 1)
    for fails in (lambda: ask(gone), lambda: gone.call("GET", "/models")):
        with pytest.raises(UpstreamError, match=r"http://127\.0\.0\.1:9") as caught:
            fails()
        assert "hunter2" not in str(caught.value)
    gone.close()


def test_a_stream_is_handed_on_piece_by_piece(engine: StandIn, upstream: Upstream) -> None:
    events = [piece("a"), piece("b", "length"), {"choices": [], "usage": {"prompt_tokens": 7}}]
    engine.behaviour = lambda handler, _: stream(handler, events)
    seen: list[dict[str, Any]] = []
    answer = ask(upstream, seen.append)
    assert seen == [{"content": "a"}, {"content": "b"}]
    assert (answer.text, answer.finish_reason, answer.prompt_tokens) == ("ab", "length", 7)
    assert answer.first_token_at is not None


def test_a_stream_cut_before_it_began_is_asked_for_again(engine: StandIn, upstream: Upstream) -> None:
    events = [piece("a", "stop")]
    engine.behaviour = lambda handler, asked: stream(handler, [] if asked == 1 else events, ends=asked > 1)
    assert ask(upstream, lambda _: None).text == "a"


@pytest.mark.parametrize("events", [[piece("a")], [piece("a"), {"error": {"message": "worker died"}}]])
def test_a_stream_cut_in_the_middle_is_an_error_and_never_an_answer(
    engine: StandIn, upstream: Upstream, events: list[dict[str, Any]]
) -> None:
    engine.behaviour = lambda handler, _: stream(handler, events, ends=False)
    with pytest.raises(UpstreamError, match=r"cut|worker died"):
        ask(upstream, lambda _: None)
    assert engine.asked == 1


def test_what_ended_an_answer_is_no_token_of_it(engine: StandIn, upstream: Upstream) -> None:
    tokens = [{"token": token, "logprob": -0.1} for token in ("y", "es", "</s>")]
    engine.behaviour = lambda handler, _: send(handler, whole(logprobs={"content": tokens}))
    assert ask(upstream).tokens == ["y", "es"]


def test_tool_calls_pass_through(engine: StandIn, upstream: Upstream) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    engine.behaviour = lambda handler, _: send(handler, whole(message=message))
    assert ask(upstream).message == {"tool_calls": calls}


def test_many_chats_at_once_all_come_back(engine: StandIn) -> None:
    engine.behaviour = lambda handler, _: send(handler, whole())
    patient = Upstream(engine.url, None, timeout=60)
    body: dict[str, Any] = {"messages": []}
    answers = [patient.run(patient.chat(body, "base", None)) for _ in range(200)]
    assert {answer.result(timeout=60).text for answer in answers} == {"yes"}
    patient.close()
