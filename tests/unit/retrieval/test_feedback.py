import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from handmade import make_settings
from hypothesis import given
from hypothesis import strategies as st
from stand_in import StandIn, send

from pipeline import feedback
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, UsageError
from pipeline.lib.files import write_json

DAY = 86_400
NOW = time.time()
ID, OTHER = "abcdef" + "0" * 18, "abcdef" + "1" * 18


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Without a gateway."""
    return make_settings(tmp_path)


@pytest.fixture
def gateway(settings: Settings) -> Iterator[StandIn]:
    """A server that takes what it is told, where the home's gateway would be."""
    server = StandIn()
    write_json(settings.layout.logs / "server.json", {"url": server.url})
    yield server
    server.stop()


def log(settings: Settings, *lines: dict, day: str = "2026-11-20") -> Path:
    path = settings.layout.interactions / f"{day}.jsonl"
    jsonl.append(path, lines)
    return path


def answered(identity: str, adapter: str = "base") -> dict:
    asked = [{"role": "user", "content": "x"}]
    return {
        "kind": "interaction",
        "id": identity,
        "source": "gateway",
        "at": NOW,
        "messages": asked,
        "adapter": adapter,
    }


def said(identity: str, at: float = NOW, **what: object) -> dict:
    return {"kind": "feedback", "interaction_id": identity, "at": at, **what}


def feedback_lines(settings: Settings) -> list[dict]:
    files = sorted(settings.layout.interactions.glob("*.jsonl"))
    return [line for path in files for line in jsonl.read(path) if line["kind"] == "feedback"]


def test_feedback_goes_through_the_running_gateway(settings: Settings, gateway: StandIn):
    gateway.behaviour = lambda handler, asked: send(handler, b'{"status": "recorded"}')
    log(settings, answered(ID))
    told = feedback.give(settings, ID, {"thumb": -1, "comment": "no", "edited": None, "success": False})
    assert gateway.body == {"interaction_id": ID, "thumb": -1, "comment": "no", "success": False}
    assert told["recorded"] == "by the gateway"
    assert feedback_lines(settings) == []


def test_without_a_gateway_the_same_line_stands_in_the_log(settings: Settings):
    log(settings, answered(ID))
    told = feedback.give(settings, "chatcmpl-" + ID, {"thumb": 1, "edited": "better"})
    assert told["interaction"] == ID
    (line,) = feedback_lines(settings)
    assert {**line, "at": None} == {**said(ID, thumb=1, edited="better"), "at": None}
    today = settings.layout.interactions / time.strftime("%Y-%m-%d.jsonl", time.gmtime(line["at"]))
    assert line in list(jsonl.read(today))


def test_what_the_gateway_refuses_is_not_written_past_it(settings: Settings, gateway: StandIn):
    gateway.behaviour = lambda handler, asked: send(handler, b'{"error": {"message": "no"}}', 400)
    log(settings, answered(ID))
    with pytest.raises(BadRecordError, match="refused: no"):
        feedback.give(settings, ID, {"thumb": 1})
    assert feedback_lines(settings) == []


def test_a_unique_beginning_of_the_id_is_enough(settings: Settings):
    log(settings, answered(ID), answered(OTHER), said(ID, thumb=1))
    assert feedback.give(settings, ID[:7].upper(), {"thumb": 1})["interaction"] == ID
    for identity, problem in (("abcdef", "beginning of 2"), ("abc", "too short"), ("f" * 24, "no interaction")):
        with pytest.raises(UsageError, match=problem):
            feedback.give(settings, identity, {"thumb": 1})


@pytest.mark.parametrize("what", [{}, {"thumb": None, "comment": None}, {"comment": "x" * 10_001}, {"thumb": 2}])
def test_feedback_that_says_nothing_or_too_much_is_refused(settings: Settings, what: dict):
    log(settings, answered(ID))
    with pytest.raises(UsageError):
        feedback.give(settings, ID, what)
    assert feedback_lines(settings) == []


def test_the_rate_counts_thumbs_by_version_and_edited_answers_as_down(settings: Settings):
    ids = [f"{number:024x}" for number in range(6)]
    log(settings, *(answered(each, "old") for each in ids[:2]), *(answered(each, "new") for each in ids[2:]))
    log(
        settings,
        said(ids[0], thumb=-1),
        said(ids[1], thumb=1),
        said(ids[2], thumb=1),
        said(ids[3], thumb=1, edited="better"),
        said(ids[4], edited="better"),
        said(ids[5], comment="hm"),
        said("9" * 24, thumb=1),
        day="2026-11-21",
    )
    told = feedback.rate(settings, 7)
    assert (told["up"], told["down"], told["edited"], told["rate"]) == (3, 3, 2, 0.5)
    counts = {version: (each["up"], each["down"]) for version, each in told["versions"].items()}
    assert counts == {"old": (1, 1), "new": (1, 2), "unknown": (1, 0)}
    assert told["interval"] == [0.1876, 0.8124]  # Wilson for 3 of 6


def test_the_last_word_counts_and_what_is_older_than_the_days_does_not(settings: Settings):
    log(settings, answered(ID), answered(OTHER))
    log(settings, said(OTHER, NOW - 8 * DAY, thumb=-1), said(ID, NOW - DAY, thumb=-1), said(ID, thumb=1))
    assert [feedback.rate(settings, days)[key] for days in (7, 9) for key in ("up", "down")] == [1, 0, 1, 1]


def test_without_a_thumb_there_is_no_rate(settings: Settings):
    log(settings, answered(ID), said(ID, comment="hm"))
    told = feedback.rate(settings, 7)
    assert (told["rate"], told["interval"], told["up"], told["down"]) == (None, None, 0, 0)


def test_a_bad_line_is_named_and_the_rest_counts(settings: Settings):
    path = log(settings, answered(ID), said(ID, thumb=5), said(ID, thumb=1))
    told = feedback.rate(settings, 7)
    assert told["up"] == 1
    assert told["problems"][0]["places"] == [f"{path} line 2"]


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_interval_holds_the_rate_and_stays_a_share(up: int, down: int):
    interval = feedback._wilson(up, up + down)
    if not up + down:
        assert interval is None
        return
    assert 0 <= interval[0] <= round(up / (up + down), 4) <= interval[1] <= 1
