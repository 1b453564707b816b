"""What drafts are worth before judges and the heuristic; test_teachers.py has the same with servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.teachers import heuristic
from pipeline.backends.teachers.council import decide
from pipeline.backends.teachers.interface import Draft
from pipeline.backends.teachers.judging import Bench, Trial, same_model
from pipeline.backends.teachers.judging import decide as judged
from pipeline.lib.records import Interaction

FAILED = Interaction(id="0" * 24, source="t", at=0, messages=[{"role": "user", "content": "?"}], answer="bad")


@pytest.mark.parametrize(
    ("answer", "reasoning", "score"),
    [
        ("no", "", 0.5),
        ("x" * 99, "", 0.5),
        ("x" * 100, "", 0.7),
        ("no", "because of it", 0.65),
        ("no, since then", "", 0.65),
        ("```\nx\n```", "", 0.6),
        ("def f():\n    return 1", "", 0.6),
        ("thenceforth", "", 0.5),
        ("x" * 100 + "\n```\nx\n```", "therefore", 0.95),
    ],
)
def test_the_heuristic_is_the_sum_of_its_parts(answer: str, reasoning: str, score: float):
    assert heuristic.score(Draft(answer, reasoning)) == score


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ollama/qwen3:8b", "Qwen/Qwen3-8B", True),
        ("ollama/llama3:latest", "llama3", True),
        ("openai/gpt-x", "ollama/gpt-x", True),
        ("ollama/qwen3:8b", "ollama/qwen3:4b", False),
    ],
)
def test_one_model_under_two_names_is_one_model(one: str, other: str, same: bool):
    assert same_model(one, other) == same


class Likes:
    """Prefers the answer with more of its letter."""

    def __init__(self, letter: str, name: str) -> None:
        self.letter, self.name = letter, name

    def prefers(self, _: object, first: str, second: str) -> str:
        ours, theirs = (text.count(self.letter) for text in (first, second))
        return "first" if ours > theirs else "second" if ours < theirs else "tie"


def test_of_several_good_drafts_the_one_that_wins_against_the_others_is_taken():
    bench = Bench([Likes("x", "one"), Likes("y", "two")], ["student"], longest=9)
    decision = judged(FAILED, [Draft("xy", teacher="a"), Draft("xxyy", teacher="b"), Draft("xxy", teacher="c")], bench)
    assert decision.draft is not None
    assert (decision.draft.answer, decision.draft.teacher, decision.quality_score) == ("xxyy", "b", 0.875)


def test_the_students_own_drafts_are_not_judged():
    bench = Bench([Likes("x", "one")], ["starter"], longest=9)
    decision = judged(FAILED, [Draft("xx", teacher="embedded/starter")], bench)
    assert (decision.draft, decision.reason) == (None, "no usable draft; most often: the student's own")


def test_a_draft_of_two_teachers_is_judged_by_a_third():
    drafts = [Draft("xx", "why", "one"), Draft("xx", "", "two")]
    alone = judged(FAILED, drafts, Bench([Likes("x", "one"), Likes("x", "two")], [], longest=9))
    assert (alone.draft, alone.reason) == (None, "no judge but the author of the draft (one, two)")
    third = judged(FAILED, drafts, Bench([Likes("x", "one"), Likes("x", "three")], [], longest=9))
    assert third.draft == Draft("xx", "why", "one, two")
    assert third.votes["judges"] == 1


@given(st.lists(st.sampled_from([1.0, 0.0, -1.0, None]), max_size=9))
def test_more_agreement_is_never_worth_less(verdicts: list[float | None]):
    before, after = Trial(Draft(""), tuple(verdicts)), Trial(Draft(""), (*verdicts, 1.0))
    assert 0 <= before.quality <= after.quality < 1
    assert not before.won or after.won


def test_what_nobody_delivered_is_no_vote_but_named():
    lost = Draft("", "", "a", "down", lost=True)
    check = {"type": "text", "equals": "42"}
    decision = decide([lost, lost, Draft("42", teacher="b"), Draft("", "", "b", "no ANSWER")], check)
    assert decision.votes == {"cast": 2, "valid": 1, "accepted": 1, "agreeing": 1, "same": 1, "by b": 1}
    assert decision.problems == {"a: down": 2, "b: no ANSWER": 1}
    assert decide([lost], check).reason.endswith("most often: down")
