from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evolution import history
from pipeline.evolution.categories import CATEGORIES
from pipeline.evolution.history import Attempt, History
from pipeline.evolution.patterns import Pattern
from pipeline.lib.problems import Problems

PATTERN = Pattern("set … to N", 5, frozenset({"set", "to", "N"}))


def attempt(failure: str = "f", **more: Any) -> Attempt:
    made = Attempt(PATTERN.id, "logic", "m@1", 1.0, 0.9, 32, 8, 2, 3, True, failure, 1e9, "20261120T020000Z")
    return made._replace(**more)


def read(path: Path, problems: Problems | None = None) -> History:
    return history.read(path, problems or Problems())


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    drafts = draw(st.integers(0, 200))
    accepted = draw(st.integers(0, drafts))
    return Attempt(
        draw(st.text(max_size=12)),
        draw(st.sampled_from(CATEGORIES)),
        draw(st.text(max_size=12)),
        draw(st.floats(0.01, 2)),
        draw(st.floats(0.01, 1)),
        draw(st.integers(0, 128)),
        drafts,
        accepted,
        draw(st.integers(1, drafts)) if accepted else 0,
        draw(st.booleans()) and accepted > 0,
        draw(st.text(max_size=24)),
        draw(st.floats(0, 4e9)),
        draw(st.none() | st.text(max_size=20)),
    )


@settings(max_examples=80)
@given(st.lists(attempts(), max_size=20))
def test_what_is_appended_is_read_again(tmp_path_factory: pytest.TempPathFactory, made: list[Attempt]):
    path = tmp_path_factory.mktemp("history") / "patterns.jsonl"
    history.append(path, [PATTERN], made[:10])
    history.append(path, [], made[10:])
    past = read(path)
    assert past.patterns == {PATTERN.id: PATTERN}
    assert past.attempts == {each.key: each for each in reversed(made)}


def test_no_file_is_no_history(tmp_path: Path):
    assert read(tmp_path / "absent.jsonl") == History()


def test_a_line_that_a_crash_tore_costs_nothing_but_itself(tmp_path: Path):
    path = tmp_path / "patterns.jsonl"
    history.append(path, [PATTERN], [attempt("a"), attempt("b")])
    path.write_bytes(path.read_bytes()[:-40])
    assert [each.failure for each in read(path).attempts.values()] == ["a"]
    history.append(path, [], [attempt("c")])
    problems = Problems()
    assert [each.failure for each in read(path, problems).attempts.values()] == ["a", "c"]
    assert problems.count == 0


def test_the_same_attempt_twice_counts_once(tmp_path: Path):
    path = tmp_path / "patterns.jsonl"
    history.append(path, [PATTERN, PATTERN], [attempt(), attempt(), attempt(model="m@2")])
    assert len(read(path).attempts) == 2


LINE = history.lines([], [attempt()])[0]
SHAPE = history.lines([PATTERN], [])[0]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"kind": "something"},
        {**LINE, "accepted": 0, "first": 0},
        {**LINE, "accepted": 9},
        {**LINE, "first": 0},
        {**LINE, "first": 9},
        {**LINE, "drafts": -1},
        {**LINE, "drafts": 10**7},
        {**LINE, "drafts": 2.5},
        {**LINE, "drafts": True},
        {**LINE, "temperature": 0},
        {**LINE, "top_p": 1.5},
        {**LINE, "at": None},
        {**LINE, "at": 1e300},
        {**LINE, "solved": 1},
        {**LINE, "category": "weather"},
        {**LINE, "failure": None},
        {name: value for name, value in LINE.items() if name != "model"},
        {**SHAPE, "id": "another"},
        {**SHAPE, "words": "set"},
        {**SHAPE, "words": [1]},
        {**SHAPE, "size": 1000},
        {**SHAPE, "size": "5"},
        {**SHAPE, "label": None},
    ],
)
def test_a_line_that_cannot_be_is_counted_and_the_rest_goes_on(tmp_path: Path, bad: dict[str, Any]):
    from pipeline.lib import jsonl

    path, problems = tmp_path / "patterns.jsonl", Problems()
    jsonl.append(path, [bad, LINE])
    assert [each.failure for each in read(path, problems).attempts.values()] == ["f"]
    assert read(path).patterns == {}
    assert [each["count"] for each in problems.to_json()] == [1]


def test_solved_means_that_a_draft_passed_the_check_not_that_it_ran():
    with pytest.raises(ValueError, match="no draft passed its check"):
        History().add({**LINE, "accepted": 0, "first": 0, "solved": True})
    assert History().add({**LINE, "accepted": 0, "first": 0, "solved": False})
