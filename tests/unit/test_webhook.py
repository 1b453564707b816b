import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.backends.notifiers.interface import Message, NotificationError
from pipeline.backends.notifiers.webhook import Webhook, discord_body, slack_body

SECRET = "T0S3CR3T"
MESSAGE = Message("Title", "Text", {"run": "r1", "empty": ""}, "Do this.", good=False)


@dataclass
class Receiver:
    """A real HTTP server that answers from a list (status, headers); None = it never answers."""

    answers: list[tuple[int, dict[str, str]] | None]
    port: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told = Receiver([])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            answer = told.answers.pop(0)
            if answer is None:
                told.ended.wait(30)
                return
            self.send_response(answer[0])
            for name, value in {"content-length": "0", **answer[1]}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield told
        told.ended.set()
        server.shutdown()
        thread.join()


def refused(url: str, timeout: float = 5) -> str:
    with pytest.raises(NotificationError) as caught:
        Webhook(url, timeout).send(MESSAGE)
    error = caught.value
    shown = f"{error} {error!r} {error.hint} {error.__cause__} {error.__context__}"
    assert SECRET not in shown
    assert "127.0.0.1" not in shown
    return str(error)


def test_a_message_is_sent_once_when_it_is_taken(receiver: Receiver):
    receiver.answers = [(200, {})]
    Webhook(receiver.url, 5).send(MESSAGE)
    assert receiver.bodies == [slack_body(MESSAGE)]


def test_a_busy_receiver_is_tried_again_after_the_wait_it_names(receiver: Receiver):
    receiver.answers = [(429, {"Retry-After": "0.3"}), (200, {})]
    before = time.monotonic()
    Webhook(receiver.url, 5).send(MESSAGE)
    assert 0.3 <= time.monotonic() - before < 4
    assert len(receiver.bodies) == 2


def test_a_broken_receiver_is_tried_three_times_and_never_named(receiver: Receiver):
    receiver.answers = [(500, {"Retry-After": "0"})] * 4
    assert refused(receiver.url).endswith("HTTP 500")
    assert len(receiver.bodies) == 3


@pytest.mark.parametrize("wait", ["-5", "nonsense", "nan"])
def test_a_senseless_wait_does_not_break_anything(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, wait: str):
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    receiver.answers = [(503, {"Retry-After": wait}), (200, {})]
    Webhook(receiver.url, 5).send(MESSAGE)
    assert all(0 <= each <= 5 for each in waits)
    assert len(receiver.bodies) == 2


def test_a_receiver_that_asks_for_an_hour_is_not_waited_for(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    receiver.answers = [(429, {"Retry-After": "3600"})] * 3
    refused(receiver.url)
    assert waits == [5.0, 5.0]


def test_a_refusal_is_final(receiver: Receiver):
    receiver.answers = [(404, {}), (200, {})]
    assert refused(receiver.url).endswith("HTTP 404")
    assert len(receiver.bodies) == 1


def test_a_receiver_that_never_answers_ends_after_its_timeouts_without_being_named(receiver: Receiver):
    receiver.answers = [None] * 3
    before = time.monotonic()
    assert refused(receiver.url, timeout=0.2).endswith("ReadTimeout")
    assert time.monotonic() - before < 10


def test_nobody_listening_is_said_without_the_address(receiver: Receiver):
    url = f"http://127.0.0.1:1/{SECRET}"
    assert refused(url).endswith("ConnectionError")


@pytest.mark.parametrize("url", ["", SECRET, f"http://[::{SECRET}", f"http://a..b/{SECRET}", f"file:///{SECRET}"])
def test_a_url_that_is_none_is_a_notification_error_without_the_url(url: str):
    assert "the webhook did not take the message" in refused(url)


@pytest.mark.parametrize("path", ["/api/webhooks/1/x", "/services/x"])
def test_the_receivers_kind_is_told_from_the_url(receiver: Receiver, path: str):
    receiver.answers = [(204, {})]
    Webhook(f"http://127.0.0.1:{receiver.port}{path}", 5).send(MESSAGE)
    expected = discord_body(MESSAGE) if path.startswith("/api") else slack_body(MESSAGE)
    assert receiver.bodies == [expected]


def test_the_slack_body_has_title_text_facts_and_next_step():
    body = slack_body(MESSAGE)
    assert body["text"] == "Title: Text"
    section, facts, context = body["blocks"]
    assert section["text"]["text"] == ":rotating_light: *Title*\nText"
    assert facts["fields"][0] == {"type": "mrkdwn", "text": "*run*\nr1"}
    assert context["elements"][0]["text"] == "Do this."
    assert [block["type"] for block in slack_body(Message("a", "b"))["blocks"]] == ["section"]


def test_the_discord_body_has_title_text_facts_and_next_step():
    body = discord_body(MESSAGE)
    (embed,) = body["embeds"]
    assert body["content"] == "Title"
    assert (embed["description"], embed["color"], embed["footer"]) == ("Text", 0xE01E5A, {"text": "Do this."})
    assert embed["fields"] == [
        {"name": "run", "value": "r1", "inline": True},
        {"name": "empty", "value": "–", "inline": True},
    ]


def test_bodies_stay_within_what_slack_and_discord_take():
    huge = Message("t" * 9000, "x" * 9000, {f"{number:0300}": "v" * 9000 for number in range(40)}, "n" * 9000)
    slack, discord = slack_body(huge), discord_body(huge)
    assert len(slack["text"]) <= 3000
    assert len(slack["blocks"][0]["text"]["text"]) <= 3000
    assert len(slack["blocks"][1]["fields"]) <= 10
    assert all(len(each["text"]) <= 2000 for each in slack["blocks"][1]["fields"])
    (embed,) = discord["embeds"]
    assert len(discord["content"]) <= 2000
    assert len(embed["description"]) <= 4096
    assert len(embed["fields"]) <= 25
    assert all(len(each["name"]) <= 256 and len(each["value"]) <= 1024 for each in embed["fields"])
