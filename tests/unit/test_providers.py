"""Providers before a server that misbehaves on demand; `pytest -m ollama` also asks a real one at OLLAMA_HOST."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import handmade
import pytest
from stand_in import Behaviour, StandIn, drop, piece, send, stream, whole

from pipeline.backends.judges.openai_judge import openai_judge
from pipeline.backends.providers.choice import Fallback
from pipeline.backends.providers.interface import Options, Provider, ProviderError
from pipeline.backends.providers.ollama import OllamaProvider
from pipeline.backends.providers.openai import OpenAiProvider
from pipeline.backends.providers.registry import known, named, provider_of
from pipeline.lib.errors import ConfigurationError

CHAT = [{"role": "user", "content": "yes or no?"}]
MODEL = "their-model"
Ways = Callable[[Provider], str]


def ollama_piece(text: str, done: bool) -> dict[str, Any]:
    return {"model": MODEL, "created_at": "2026-11-20T02:00:00Z", "message": said(text), "done": done}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def ollama_answer(handler: BaseHTTPRequestHandler, pieces: list[dict[str, Any]]) -> None:
    send(handler, b"".join(json.dumps(each).encode() + b"\n" for each in pieces), kind="application/x-ndjson")


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture(params=["ollama", "openai"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.backends.providers.ollama._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("pipeline.backends.providers.openai._FIRST_PAUSE", 0.01)


@pytest.fixture
def provider(kind: str, server: StandIn) -> Iterator[Provider]:
    made = make(kind, server.url)
    yield made
    made.close()


def make(kind: str, url: str, timeout: float = 5) -> Provider:
    if kind == "ollama":
        return OllamaProvider(url, MODEL, timeout, attempts=3)
    return OpenAiProvider(url, MODEL, timeout, attempts=3)


def answering(kind: str, server: StandIn, text: str = "yes") -> Behaviour:
    """Whole or streamed, as asked."""
    middle = len(text) // 2

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        if kind == "ollama":
            parts = [(text[:middle], False), (text[middle:], True)] if server.body["stream"] else [(text, True)]
            ollama_answer(handler, [ollama_piece(part, done) for part, done in parts])
        elif server.body.get("stream"):
            stream(handler, [piece(text[:middle]), piece(text[middle:], "stop")])
        else:
            send(handler, whole(text))

    return answer


def ask(provider: Provider) -> str:
    return provider.ask(CHAT, Options(seed=7))


def streamed(provider: Provider) -> str:
    return "".join(provider.stream(CHAT, Options(seed=7)))


def asked_async(provider: Provider) -> str:
    async def answer() -> str:
        try:
            return await provider.ask_async(CHAT, Options(seed=7))
        finally:
            await provider.close_async()

    return asyncio.run(answer())


def streamed_async(provider: Provider) -> str:
    async def joined() -> str:
        try:
            return "".join([each async for each in provider.stream_async(CHAT, Options(seed=7))])
        finally:
            await provider.close_async()

    return asyncio.run(joined())


WAYS = [ask, streamed, asked_async, streamed_async]


@pytest.mark.parametrize("way", WAYS)
def test_all_four_ways_give_the_same_answer_with_the_options_asked_for(
    kind: str, provider: Provider, server: StandIn, way: Ways
) -> None:
    server.behaviour = answering(kind, server)
    assert way(provider) == "yes"
    options = server.body["options"] if kind == "ollama" else server.body
    assert (server.body["model"], options["temperature"], options["seed"]) == (MODEL, 0, 7)
    assert options["num_predict" if kind == "ollama" else "max_tokens"] == 256


@pytest.mark.parametrize("way", WAYS)
def test_half_a_surrogate_pair_in_a_reply_becomes_a_question_mark(
    kind: str, provider: Provider, server: StandIn, way: Ways
) -> None:
    server.behaviour = answering(kind, server, "so \ud83d it")
    assert way(provider) == "so ? it"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("failure", ["dropped", "busy"])
def test_what_is_lost_before_it_began_is_asked_for_again(
    kind: str, provider: Provider, server: StandIn, way: Ways, failure: str
) -> None:
    answers = answering(kind, server)

    def behaviour(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number == 3:
            answers(handler, number)
        elif failure == "busy":
            send(handler, b'{"error": "busy"}', 503)
        else:
            drop(handler)

    server.behaviour = behaviour
    assert way(provider) == "yes"
    assert server.asked == 3


@pytest.mark.parametrize("way", WAYS)
def test_patience_ends_and_the_provider_is_named(provider: Provider, server: StandIn, way: Ways) -> None:
    server.behaviour = lambda handler, _: send(handler, b'{"error": "busy"}', 503)
    with pytest.raises(ProviderError, match=MODEL):
        way(provider)
    assert server.asked == 3


@pytest.mark.parametrize("way", WAYS)
def test_a_silent_server_is_not_asked_again_and_may_bill_what_it_was_asked(
    kind: str, server: StandIn, way: Ways
) -> None:
    server.behaviour = lambda handler, _: (time.sleep(0.3), drop(handler))[1]
    provider = make(kind, server.url, timeout=0.1)
    with pytest.raises(ProviderError, match=MODEL) as raised:
        way(provider)
    provider.close()
    assert (server.asked, raised.value.may_be_billed) == (1, True)


def test_a_server_that_is_not_there_bills_nothing(kind: str, server: StandIn) -> None:
    url = server.url
    server.server.server_close()
    provider = make(kind, url)
    with pytest.raises(ProviderError) as raised:
        ask(provider)
    provider.close()
    assert not raised.value.may_be_billed


@pytest.mark.parametrize("entry", ["ollama", "openai", "judge"])
@pytest.mark.parametrize("url", ["http://there:x1", "http://login:w0rd/x@there", "http://[::1", "http://there:70000"])
def test_an_address_that_is_none_is_a_mistake_of_the_settings_that_names_the_entry(
    tmp_path: Any, entry: str, url: str
) -> None:
    more = {"openai_url": url, "openai_model": MODEL, "ollama_url": url, "ollama_model": MODEL}
    settings = handmade.make_settings(tmp_path, providers=more)
    with pytest.raises(ConfigurationError, match=entry) as raised:
        openai_judge(url, MODEL, 5) if entry == "judge" else provider_of(settings, named(settings, entry))
    assert "w0rd" not in str(raised.value)


@pytest.mark.parametrize("key", ["s3cret\rkey", "s3cret\nkey", "s3cret\tkey", "s3crét", "s3cret\x00key"])
def test_a_key_that_cannot_be_sent_is_refused_by_the_name_of_its_variable(
    kind: str, monkeypatch: pytest.MonkeyPatch, server: StandIn, key: str
) -> None:
    monkeypatch.setattr("os.environ", {**os.environ, "THEIR_KEY": key})
    with pytest.raises(ConfigurationError, match="THEIR_KEY") as raised:
        with_key(kind, server.url)
    assert "s3cr" not in str(raised.value) + raised.value.hint


@pytest.mark.parametrize("key", ["s3cret\r", "s3cret\r\n", " s3cret\n"])
def test_white_space_around_a_key_is_not_sent(
    kind: str, monkeypatch: pytest.MonkeyPatch, server: StandIn, key: str
) -> None:
    monkeypatch.setenv("THEIR_KEY", key)
    heard, answer = [], answering(kind, server)
    server.behaviour = lambda handler, number: (heard.append(handler.headers["authorization"]), answer(handler, 1))[1]
    provider = with_key(kind, server.url)
    assert ask(provider) == "yes"
    provider.close()
    assert heard == ["Bearer s3cret"]


def with_key(kind: str, url: str) -> Provider:
    if kind == "ollama":
        return OllamaProvider(url, MODEL, 5, attempts=1, key_variable="THEIR_KEY")
    return OpenAiProvider(url, MODEL, 5, attempts=1, key_variable="THEIR_KEY")


@pytest.mark.parametrize(("seconds", "asked"), [("0.3", 2), ("3600", 1)])
def test_a_server_says_itself_how_long_it_wants_to_be_left_alone(server: StandIn, seconds: str, asked: int) -> None:
    def behaviour(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number == 2:
            return send(handler, whole())
        handler.send_response(429)
        handler.send_header("retry-after", seconds)
        handler.send_header("content-length", "0")
        return handler.end_headers()

    server.behaviour = behaviour
    provider = make("openai", server.url)
    begun = time.monotonic()
    if asked == 2:
        assert ask(provider) == "yes"
        assert time.monotonic() - begun >= 0.3
    else:
        with pytest.raises(ProviderError):
            ask(provider)
    provider.close()
    assert server.asked == asked


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_an_answer_says_whether_it_was_cut(kind: str, provider: Any, server: StandIn, reason: str) -> None:
    def behaviour(handler: BaseHTTPRequestHandler, _: int) -> None:
        if kind == "ollama":
            ollama_answer(handler, [{**ollama_piece("and", done=True), "done_reason": reason}])
        else:
            send(handler, whole("and", finish_reason=reason))

    server.behaviour = behaviour
    assert provider.answer(CHAT, Options()).cut == (reason == "length")


def test_a_refusal_is_not_asked_again(kind: str, provider: Provider, server: StandIn) -> None:
    body = b'{"error": "no such model"}' if kind == "ollama" else b'{"error": {"message": "no such model"}}'
    server.behaviour = lambda handler, _: send(handler, body, 404)
    with pytest.raises(ProviderError, match="no such model"):
        ask(provider)
    assert server.asked == 1


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"[]", b"{}"])
def test_nonsense_is_an_error_and_no_answer(provider: Provider, server: StandIn, body: bytes) -> None:
    server.behaviour = lambda handler, _: send(handler, body)
    with pytest.raises(ProviderError):
        ask(provider)


@pytest.mark.parametrize("way", [streamed, streamed_async])
def test_a_stream_that_is_cut_is_an_error_and_no_answer(
    kind: str, provider: Provider, server: StandIn, way: Ways
) -> None:
    def behaviour(handler: BaseHTTPRequestHandler, _: int) -> None:
        if kind == "ollama":
            ollama_answer(handler, [ollama_piece("ye", done=False)])
        else:
            stream(handler, [piece("ye")], ends=False)

    server.behaviour = behaviour
    with pytest.raises(ProviderError, match="cut"):
        way(provider)
    assert server.asked == 1


def test_a_provider_without_a_server_is_unhealthy_and_fails_by_name(kind: str, server: StandIn) -> None:
    url = server.url
    server.server.server_close()
    provider = make(kind, url)
    assert not provider.healthy()
    with pytest.raises(ProviderError, match=MODEL):
        ask(provider)
    provider.close()


def test_health_means_that_the_model_is_there(server: StandIn) -> None:
    there, missing = (OpenAiProvider(server.url, model, 5, 1) for model in (MODEL, "another"))
    assert there.healthy()
    assert not missing.healthy()
    there.close()
    missing.close()


class Scripted:
    """A provider that answers with its name while it is well."""

    def __init__(self, name: str, well: bool = True) -> None:
        self.name = name
        self.well = well
        self.asked = 0

    def healthy(self) -> bool:
        return self.well

    def ask(self, *_: Any) -> str:
        self.asked += 1
        if not self.well:
            raise ProviderError(f"{self.name} is ill")
        return self.name

    def stream(self, *_: Any) -> Iterator[str]:
        yield self.ask()

    async def ask_async(self, *_: Any) -> str:
        return self.ask()

    async def stream_async(self, *_: Any) -> Any:
        yield self.ask()

    def close(self) -> None: ...

    async def close_async(self) -> None: ...


@pytest.mark.parametrize("way", WAYS)
def test_the_first_healthy_one_answers_and_when_it_fails_the_next(way: Ways) -> None:
    ill, first, second = Scripted("ill", well=False), Scripted("first"), Scripted("second")
    together = Fallback([ill, first, second])
    assert together.name == "first or second"
    assert way(together) == "first"
    first.well = False
    assert way(together) == "second"
    asked = first.asked
    assert way(together) == "second"
    assert (ill.asked, first.asked) == (0, asked)


@pytest.mark.parametrize("way", WAYS)
def test_when_all_fail_all_are_named(way: Ways) -> None:
    members = [Scripted("first"), Scripted("second")]
    together = Fallback(members)
    for each in members:
        each.well = False
    with pytest.raises(ProviderError, match="first, second"):
        way(together)


def test_without_a_healthy_provider_nothing_begins() -> None:
    with pytest.raises(ProviderError, match="ill"):
        Fallback([Scripted("ill", well=False)])


def test_only_what_the_settings_name_is_asked(tmp_path: Any, server: StandIn) -> None:
    settings = handmade.make_settings(tmp_path, providers={"openai_url": server.url, "openai_model": MODEL})
    found = [provider_of(settings, each) for each in known(settings)]
    assert [each.name for each in found] == [f"openai/{MODEL}", "embedded/starter"]
    for each in found:
        each.close()


@pytest.mark.ollama
def test_a_real_ollama_answers_all_four_ways() -> None:
    provider = OllamaProvider(None, os.environ["OLLAMA_MODEL"], 120, attempts=3)
    assert provider.healthy()
    assert all(way(provider) for way in WAYS)
    provider.close()
