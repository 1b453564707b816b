"""Whom a night asks about a category of failures, by what past nights have shown."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from attempts import DAY, NOW, past, tried
from hypothesis import given, settings
from hypothesis import strategies as st
from teaching import NOW as TODAY
from teaching import Server, fail, question, rewrites, right, rows, servers, settings_of

from pipeline.evolution import history
from pipeline.evolution.tallies import Tallies, tally
from pipeline.evolution.teachers import best_teacher, turns
from pipeline.harvest import harvest
from pipeline.lib import jsonl

SMALL, BIG = "ollama/small:1b", "openai/big"


def test_the_model_that_solves_a_category_is_asked_about_it():
    asked = [
        *tried(30, model="a", category="syntax", solved=True, first=2, drafts=4),
        *tried(30, model="b", category="syntax"),
        *tried(30, model="a", category="logic"),
        *tried(30, model="b", category="logic", solved=True, first=2, drafts=4),
    ]
    known = tally(past(*asked), NOW)
    assert best_teacher(known, "syntax", ["a", "b"]) == "a"
    assert best_teacher(known, "logic", ["a", "b"]) == "b"
    assert best_teacher(known, "logic", ["a", "b", "new"]) == "b"
    assert best_teacher(known, "type", ["a"]) == "a"


def test_a_model_that_nobody_knows_is_tried_before_one_that_fails():
    known = tally(past(*tried(30, model="a"), *tried(30, model="c", category="type", solved=True, first=4)), NOW)
    assert best_teacher(known, "logic", ["a", "new"]) == "new"
    assert best_teacher(Tallies(), "logic", ["first", "second"]) == "first"


def test_drafts_of_teachers_that_nobody_knows_go_round_and_round():
    assert turns(Tallies(), "logic", ["a", "b"], 8, 0, "f") == ()
    assert turns(tally(past(*tried(9, model="a")), NOW), "logic", ["a"], 8, 0, "f") == ()


def test_each_of_several_teachers_is_known_by_its_own_drafts():
    together = tried(30, model="a + b", drafts=8, solved=True, first=2, accepted=4, by={"a": [4, 4], "b": [4, 0]})
    known = tally(past(*together), NOW)
    assert set(known.models) == {("a", "logic"), ("b", "logic")}
    assert best_teacher(known, "logic", ["b", "a"]) == "a"


@settings(max_examples=20)
@given(st.integers(0, 9), st.text(max_size=9))
def test_turns_are_the_same_whenever_they_are_drawn_and_who_is_hardly_known_gets_some(seed: int, failure: str):
    known = tally(past(*tried(10, model="a"), *tried(10, model="b", solved=True, first=4, drafts=4)), NOW)
    drawn = turns(known, "logic", ["a", "b", "new"], 200, seed, failure)
    assert drawn == turns(known, "logic", ["a", "b", "new"], 200, seed, failure)
    assert drawn[:20] == turns(known, "logic", ["a", "b", "new"], 20, seed, failure)
    counts = Counter(drawn)
    assert counts["b"] > 10 * counts["a"]
    assert counts["new"]


def a_day_later(home: Path) -> None:
    path = home / "training_data" / "patterns.jsonl"
    jsonl.write(path, [{**row, **({"at": row["at"] - DAY} if "at" in row else {})} for row in jsonl.read(path)])


def only(remainder: int, server: Server) -> None:
    """It solves every second question, and talks about the others."""

    def reply(asked: str) -> str:
        number = next(each for each in range(1000) if question(each) in asked)
        return right(asked) if number % 2 == remainder else "REASONING: I guess.\nANSWER: 7"

    server.reply = reply


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    small, big = Server("ollama", "small:1b", right), Server("openai", "big", right)
    only(0, small)
    only(1, big)
    with servers(small, big):
        yield small, big


def test_the_second_night_asks_each_teacher_about_what_it_solved_in_the_first(
    tmp_path: Path, pair: tuple[Server, Server]
):
    def night(numbers: range) -> list[Counter[int]]:
        for number in numbers:
            fail(tmp_path, number, error=["SyntaxError: invalid", "ZeroDivisionError: by zero"][number % 2])
        for server in pair:
            server.calls.clear()
        harvest(configured, None, TODAY, dry_run=False)
        asked = {question(number): number % 2 for number in numbers}
        return [
            Counter(kind for call in server.calls for words, kind in asked.items() if words in call) for server in pair
        ]

    configured = settings_of(tmp_path, [pair[0].entry("a"), pair[1].entry("b")], teachers=["a", "b"], samples=8)
    first = night(range(100, 124))
    again = night(range(300, 324))  # nothing is chosen by what the same day has shown
    assert again == first
    assert all(calls[0] == calls[1] > 0 for calls in zip(*([each[0], each[1]] for each in first), strict=True))
    a_day_later(tmp_path)
    second = night(range(200, 224))
    assert second[0][0] > 2 * second[0][1]
    assert second[1][1] > 2 * second[1][0]
    assert len(rewrites(tmp_path)) == 72
    written = [row for row in rows(tmp_path, "patterns.jsonl") if row["kind"] == "attempt"]
    assert {name for row in written for name in row["by"]} == {SMALL, BIG}


def test_who_is_preferred_is_still_confirmed_by_the_other(tmp_path: Path, pair: tuple[Server, Server]):
    """Prose is never written twice in the same words, so two teachers have to agree."""
    number = count()
    for server in pair:
        server.reply = lambda asked: f"{right(asked)}, for reason {next(number)}."
    configured = settings_of(tmp_path, [pair[0].entry("a"), pair[1].entry("b")], teachers=["a", "b"], samples=4)
    known = tried(40, model=SMALL, category="unknown", solved=True, first=1, drafts=2, at=TODAY - DAY)
    known += tried(40, model=BIG, category="unknown", drafts=8, at=TODAY - DAY)
    history.append(configured.layout.patterns, [], past(*known).attempts.values())
    fail(tmp_path, *range(10), check="contains")
    harvest(configured, None, TODAY, dry_run=False)
    assert len(rewrites(tmp_path)) == 10
    assert len(pair[0].calls) > len(pair[1].calls) >= 10
