import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.notifiers.discord import discord_body
from pipeline.backends.notifiers.interface import Message
from pipeline.backends.notifiers.slack import slack_body
from pipeline.backends.notifiers.webhook import webhook_body
from pipeline.backends.notifiers.wording import DISCORD, SLACK, fit, plain
from pipeline.lib.text import visible

HOSTILE = Message(
    "<!channel> @everyone & \x1b[31mred\x1b[0m",
    "two\nlines <!here> <https://evil.example|click> [click](https://evil.example) @here \u202egnp.exe \ud800",
    {"*bold*\n": "`code` <@U123>", "": "\0"},
    "`nightschool status` <!channel>",
)
texts = st.text(st.characters(exclude_categories=()), max_size=200) | st.integers(100, 900).map("<!here> &".__mul__)


@pytest.mark.parametrize("body", [slack_body(HOSTILE), discord_body(HOSTILE), webhook_body(HOSTILE)])
def test_foreign_words_do_not_paint_or_reverse(body: dict[str, object]):
    written = json.dumps(body, ensure_ascii=False)
    assert not any(sign in written for sign in ("\x1b", "[31m", "\u202e", "\ud800", "\\u0000"))


def test_foreign_words_ping_nobody_and_hide_no_link():
    written = json.dumps(slack_body(HOSTILE), ensure_ascii=False)
    assert not any(sign in written for sign in ("<!", "<@", "<http", "@everyone", "@here"))
    assert "&lt;!channel&gt;" in written
    said = discord_body(HOSTILE)
    assert said["allowed_mentions"] == {"parse": []}
    written = json.dumps(said, ensure_ascii=False)
    assert not any(sign in written for sign in ("@everyone", "@here", " [click]("))


@pytest.mark.parametrize("words", [plain, visible, lambda text: visible(text, 12)])
def test_no_login_of_a_url_gets_into_a_message_or_onto_a_page(words: Callable[[str], str]):
    assert "hunter2" not in words("see http://ann:hunter2@gpu:8000/v1")
    assert "gpu" in words("http://ann:hunter2@gpu:8000/v1")


@given(texts, st.integers(1, 300), st.sampled_from([SLACK, DISCORD, {}]))
def test_what_is_cut_stays_within_its_length_and_no_escape_is_torn(text: str, longest: int, escapes: dict[str, str]):
    cut = fit(text, longest, escapes)
    assert len(cut) <= longest
    for char, escape in escapes.items():
        if char not in "&\\":
            cut = cut.replace(escape, "")
            assert char not in cut
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("text", "longest", "cut"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one two three", 8, "one two…"),
        ("unbreakable", 6, "unbre…"),
        ("a veryveryverylong", 10, "a veryver…"),
        ("", 5, ""),
    ],
)
def test_a_cut_is_made_at_a_word_unless_that_would_lose_too_much(text: str, longest: int, cut: str):
    assert fit(text, longest) == cut
