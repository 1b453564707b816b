import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backends.teachers.council import decide
from pipeline.backends.teachers.interface import Draft

CHECK = {"type": "vm", "memory": {"x": 6}}
ONLY_RUN = {"type": "vm"}
SUM = 'PUSH #2\nPUSH #4\nADD\nSTORE "x"'
PRODUCT = 'PUSH #2\nPUSH #3\nMUL\nSTORE "x"'
LITERAL = 'PUSH #6\nSTORE "x"'
NOTED = 'PUSH #6\nDUP\nSTORE "x"\nSTORE "y"'
WRONG = 'PUSH #7\nSTORE "x"'
BROKEN = "ADD"
POOL = [SUM, PRODUCT, LITERAL, NOTED, WRONG, BROKEN, "no program", ""]


def drafts(*answers: str) -> list[Draft]:
    return [Draft(answer) for answer in answers]


def test_an_accepted_draft_wins_over_any_number_of_wrong_ones():
    decision = decide(drafts(WRONG, WRONG, WRONG, SUM, SUM), CHECK)
    assert decision.draft is not None
    assert decision.draft.answer == SUM
    assert decision.votes == {"cast": 5, "valid": 2, "accepted": 2, "agreeing": 2, "same": 2}
    assert decision.quality_score == 0.75
    assert decision.verified_by == "vm"


def test_one_accepted_draft_alone_may_be_a_coincidence():
    assert decide(drafts(SUM, WRONG, WRONG, WRONG), CHECK).quality_score == 0.5
    # Two different accepted drafts confirm the value, not each other.
    assert decide(drafts(SUM, PRODUCT), CHECK).quality_score == 0.5


def test_an_accepted_answer_gets_better_with_each_repetition():
    scores = [decide(drafts(*[SUM] * count), CHECK).quality_score for count in range(1, 6)]
    assert scores == [0.5, 0.75, 0.875, 0.9375, 0.96875]


def test_every_draft_that_passed_is_counted_whatever_its_words():
    drafts = [Draft(f"It is 4, said in {number} words.") for number in range(8)]
    decision = decide(drafts, {"type": "text", "contains": "4"})
    assert decision.votes["accepted"] == 8
    assert decision.reason.startswith("8 of 8 drafts passed")


def test_without_an_expected_value_the_share_that_agrees_is_the_quality():
    decision = decide(drafts(SUM, PRODUCT, LITERAL, WRONG, BROKEN), ONLY_RUN)
    assert decision.quality_score == 3 / 5
    assert decision.draft is not None
    assert decision.draft.answer == LITERAL  # all written once: the shortest
    assert decision.votes == {"cast": 5, "valid": 4, "agreeing": 3, "same": 1}


def test_nothing_valid_says_what_went_wrong_most_often():
    decision = decide(drafts(WRONG, WRONG, BROKEN), CHECK)
    assert decision.draft is None
    assert decision.quality_score == 0
    assert decision.reason == "no draft passed its check; most often: wrong value in x"
    assert decision.votes == {"cast": 3, "valid": 0}


def test_no_drafts_at_all_is_a_decision_too():
    decision = decide([], CHECK)
    assert decision.draft is None
    assert decision.reason.endswith("no drafts")


def test_of_equally_frequent_results_it_does_not_matter_which_came_first():
    assert decide(drafts(SUM, WRONG), ONLY_RUN) == decide(drafts(WRONG, SUM), ONLY_RUN)
    assert decide(drafts(NOTED, SUM), CHECK) == decide(drafts(SUM, NOTED), CHECK)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(POOL), max_size=10), st.sampled_from([CHECK, ONLY_RUN]), st.randoms())
def test_the_decision_does_not_depend_on_the_order_of_the_drafts(
    answers: list[str], check: dict[str, object], source: random.Random
):
    shuffled = source.sample(answers, len(answers))
    assert decide(drafts(*shuffled), check) == decide(drafts(*answers), check)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(POOL), max_size=10), st.sampled_from([CHECK, ONLY_RUN]))
def test_a_chosen_draft_is_one_of_the_drafts_and_its_quality_a_share(answers: list[str], check: dict[str, object]):
    decision = decide(drafts(*answers), check)
    if decision.draft is None:
        assert decision.quality_score == 0
    else:
        assert decision.draft.answer in answers
        assert decision.draft.answer not in (BROKEN, "no program")
        assert 0 < decision.quality_score <= 1
