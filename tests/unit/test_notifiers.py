import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receivers import SECRET, receiving
from slack_sdk.models.blocks import Block

from pipeline.backends.notifiers import choice, webhook
from pipeline.backends.notifiers.discord import Discord, discord_body
from pipeline.backends.notifiers.interface import Message, NotificationError, Notifier
from pipeline.backends.notifiers.slack import Slack, slack_body
from pipeline.backends.notifiers.webhook import Webhook, webhook_body
from pipeline.lib.sections import Notify

MESSAGE = Message("Title", "Text", {"run": "r1", "empty": ""}, "Do `this`.", "bad", "failed", "r1", 1795645137)
HUGE = Message("t" * 9000, "x " * 9000, {f"{number:0300}": "v" * 9000 for number in range(40)}, "n " * 9000)
KINDS: list[Callable[[str, float], Notifier]] = [Slack, Discord, Webhook]

texts = st.text(st.characters(exclude_categories=()), max_size=200) | st.integers(100, 900).map("<!here> &".__mul__)
messages = st.builds(Message, texts, texts, st.dictionaries(texts, texts, max_size=15), texts)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def refused(notifier: Notifier) -> str:
    with pytest.raises(NotificationError) as caught:
        notifier.send(MESSAGE)
    error = caught.value
    shown = f"{error} {error!r} {error.hint} {error.__cause__} {error.__context__}"
    assert SECRET not in shown
    assert "127.0.0.1" not in shown
    return str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_sent_once_when_it_is_taken(kind: Callable[[str, float], Notifier]):
    with receiving((204, {})) as receiver:
        kind(receiver.url, 5).send(MESSAGE)
    assert len(receiver.received) == 1
    assert receiver.received[0][0]["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("kind", KINDS)
def test_a_busy_receiver_is_tried_again_after_the_wait_it_names(kind: Callable[[str, float], Notifier]):
    with receiving((429, {"Retry-After": "0.3"}), (200, {})) as receiver:
        before = time.monotonic()
        kind(receiver.url, 5).send(MESSAGE)
    assert 0.3 <= time.monotonic() - before < 4
    assert len(receiver.received) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_broken_receiver_is_tried_three_times_and_never_named(kind: Callable[[str, float], Notifier], status: int):
    with receiving((status, {"Retry-After": "0"})) as receiver:
        assert refused(kind(receiver.url, 5)).endswith(f"HTTP {status}")
    assert len(receiver.received) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wait", ["-5", "nonsense", "nan", "3600"])
def test_a_wait_out_of_all_reason_is_shortened(
    kind: Callable[[str, float], Notifier], wait: str, monkeypatch: pytest.MonkeyPatch
):
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with receiving((429, {"Retry-After": wait}), (200, {})) as receiver:
        kind(receiver.url, 5).send(MESSAGE)
    assert len(waits) == 1
    assert 0 <= waits[0] <= 5
    assert len(receiver.received) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_final(kind: Callable[[str, float], Notifier]):
    with receiving((404, {}), (200, {})) as receiver:
        assert refused(kind(receiver.url, 5)).endswith("HTTP 404")
    assert len(receiver.received) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_refusal_and_nobody_else_learns_the_secret(kind: Callable[[str, float], Notifier], status: int):
    with receiving() as other, receiving((status, {"Location": other.url})) as receiver:
        assert refused(kind(receiver.url, 5)).endswith(f"HTTP {status}, a redirect, which is not followed")
    assert (len(receiver.received), other.received) == (1, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_that_never_answers_ends_after_its_timeouts(
    kind: Callable[[str, float], Notifier], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with receiving(None) as receiver:
        before = time.monotonic()
        assert refused(kind(receiver.url, 0.2)).endswith("no answer in time")
        assert time.monotonic() - before < 5
    assert len(receiver.received) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "url", ["", SECRET, f"http://[::{SECRET}", f"http://a b/{SECRET}", f"file:///{SECRET}", f"http://é\n/{SECRET}"]
)
def test_a_url_that_is_none_is_said_without_the_url(kind: Callable[[str, float], Notifier], url: str):
    assert "the webhook did not take the message" in refused(kind(url, 5))


@pytest.mark.parametrize(
    ("url", "kind", "expected"),
    [
        ("https://hooks.slack.com/services/x", "generic", "slack"),
        ("https://discord.com/api/webhooks/1/x", "slack", "discord"),
        ("https://ptb.discord.com/api/webhooks/1/x", "auto", "discord"),
        ("https://discord.com/api/webhooks/1/x/slack", "auto", "slack"),
        ("https://notdiscord.com/hooks/x", "auto", "slack"),
        ("https://relay.example/api/webhooks/1/x", "auto", "discord"),
        ("https://chat.example/hooks/x", "auto", "slack"),
        ("https://chat.example/hooks/x", "generic", "generic"),
        ("https://chat.example/hooks/x", "discord", "discord"),
        ("http://[::", "auto", "slack"),
    ],
)
def test_the_kind_is_told_from_the_url_and_else_from_the_setting(url: str, kind: str, expected: str):
    assert choice.kind_of(url, kind) == expected


def test_several_webhooks_and_addresses_are_all_told_under_names_that_say_nothing_secret():
    settings = Notify(
        webhook=f"https://hooks.slack.com/{SECRET} https://chat.example/{SECRET} https://discord.com/api/webhooks/1/x",
        email_to=["ada@example.org"],
    )
    assert list(choice.configured(settings)) == ["slack", "slack 2", "discord", "email"]
    assert list(choice.configured(Notify())) == []


def test_one_that_hangs_is_given_up_and_the_others_are_told():
    with receiving() as quick, receiving(None) as slow:
        notifiers: dict[str, Notifier] = {"slow": Slack(slow.url, 20), "quick": Webhook(quick.url, 20)}
        before = time.monotonic()
        problems = choice.send_all(notifiers, MESSAGE, 1.5)
        assert time.monotonic() - before < 10
    assert problems == {"slow": "it did not end in time", "quick": ""}


def test_the_signature_is_what_a_receiver_computes_of_the_bytes_it_got():
    with receiving() as receiver:
        Webhook(receiver.url, 5, "key").send(MESSAGE)
        Webhook(receiver.url, 5).send(MESSAGE)
    (signed, body), (unsigned, _) = receiver.received
    assert signed[webhook.SIGNATURE] == webhook.signature("key", body)
    assert webhook.signature("another", body) != webhook.signature("key", body)
    assert webhook.SIGNATURE not in unsigned


def test_the_slack_message_has_headline_why_numbers_and_next_step_in_blocks_and_as_text():
    body = slack_body(MESSAGE)
    header, section, facts, context = body["blocks"]
    assert header["text"]["text"] == "🔴 Title"
    assert section["text"]["text"] == "Text"
    assert [each["text"] for each in facts["fields"]] == ["*run*\nr1", "*empty*\n–"]
    assert context["elements"][0]["text"] == "Do `this`."
    assert body["text"] == "🔴 Title\nText\n*run* r1\n*empty* –\nDo `this`."
    assert [block["type"] for block in slack_body(Message("a", ""))["blocks"]] == ["header"]


def test_the_discord_message_has_headline_why_numbers_and_next_step():
    body = discord_body(MESSAGE)
    (embed,) = body["embeds"]
    assert body["content"] == "🔴 Title"
    assert (embed["description"], embed["color"]) == ("Text\n\nDo `this`.", 0xE01E5A)
    assert embed["fields"][1] == {"name": "empty", "value": "–", "inline": True}


@given(messages)
def test_no_message_breaks_the_limits_of_slack(message: Message):
    body = slack_body(message)
    for block in Block.parse_all(body["blocks"]):
        block.validate_json()
    assert 1 <= len(body["text"]) <= 3000
    assert 1 <= len(body["blocks"]) <= 4
    for block in body["blocks"]:
        texts = [block["text"]] if "text" in block else block.get("fields") or block["elements"]
        limit = {"header": 150}.get(block["type"], 2000 if "fields" in block else 3000)
        assert len(texts) <= 10
        assert all(1 <= len(each["text"]) <= limit for each in texts)
    json.dumps(body).encode()


@given(messages)
def test_no_message_breaks_the_limits_of_discord(message: Message):
    body = discord_body(message)
    (embed,) = body["embeds"]
    fields = [text for each in embed["fields"] for text in (each["name"], each["value"])]
    assert 1 <= len(body["content"]) <= 2000
    assert len(embed["fields"]) <= 25
    assert all(1 <= len(each["name"]) <= 256 and 1 <= len(each["value"]) <= 1024 for each in embed["fields"])
    assert len(embed["description"]) + sum(map(len, fields)) <= 6000
    json.dumps(body, ensure_ascii=False).encode()


def test_huge_messages_fit_too():
    assert len(slack_body(HUGE)["blocks"][2]["fields"]) == 10
    assert len(discord_body(HUGE)["embeds"][0]["fields"]) == 10
    assert slack_body(HUGE)["blocks"][0]["text"]["text"].endswith("…")
    assert len(json.dumps(webhook_body(HUGE))) < 300_000
