import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pipeline.gate.paired import Outcome, compare, proportion_interval

ALPHA, MARGIN = 0.05, 0.02
ORDER: dict[Outcome, int] = {"fail": 0, "inconclusive": 1, "pass": 2}

COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 400))


def pairs(wins: int, losses: int, ties: int) -> list[tuple[bool, bool]]:
    return (
        [(True, False)] * wins
        + [(False, True)] * losses
        + [(True, True)] * (ties // 2)
        + [(False, False)] * (ties - ties // 2)
    )


def outcome(wins: int, losses: int, ties: int) -> Outcome:
    return compare(pairs(wins, losses, ties), ALPHA, MARGIN).outcome


def test_no_pairs_are_inconclusive():
    result = compare([], ALPHA, MARGIN)
    assert (result.outcome, result.pairs, result.interval) == ("inconclusive", 0, (-1.0, 1.0))


@pytest.mark.parametrize(("number", "expected"), [(1, "inconclusive"), (20, "inconclusive"), (400, "pass")])
def test_pairs_that_are_all_equal_pass_only_when_there_are_enough(number: int, expected: Outcome):
    assert compare([(True, True)] * number, ALPHA, MARGIN).outcome == expected
    assert compare([(False, False)] * number, ALPHA, MARGIN).outcome == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0, 4, 16), "inconclusive"),
        ((0, 5, 15), "fail"),
        ((5, 0, 15), "pass"),
        ((10, 52, 358), "fail"),  # ten points of 420 lost
        ((40, 40, 340), "inconclusive"),
        ((60, 20, 340), "pass"),
        ((1, 1, 418), "pass"),  # too few differences to hide a loss that matters
    ],
)
def test_known_counts_get_the_outcome_that_the_exact_test_gives(counts: tuple[int, int, int], expected: Outcome):
    assert outcome(*counts) == expected


@settings(max_examples=50, deadline=None)
@given(COUNTS)
def test_swapping_the_models_mirrors_the_result(counts: tuple[int, int, int]):
    wins, losses, ties = counts
    one = compare(pairs(wins, losses, ties), ALPHA, MARGIN)
    other = compare([(right, left) for left, right in pairs(wins, losses, ties)], ALPHA, MARGIN)
    assert (one.wins, one.losses, one.difference) == (other.losses, other.wins, -other.difference)
    assert (one.p_worse, one.p_better) == pytest.approx((other.p_better, other.p_worse))
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]), abs=1e-6)
    if one.outcome == "fail":
        assert other.outcome == "pass"


@settings(max_examples=50, deadline=None)
@given(COUNTS)
def test_the_order_of_the_pairs_does_not_matter(counts: tuple[int, int, int]):
    ordered = pairs(*counts)
    shuffled = random.Random(0).sample(ordered, len(ordered))
    assert compare(shuffled, ALPHA, MARGIN) == compare(ordered, ALPHA, MARGIN)


@settings(max_examples=50, deadline=None)
@given(COUNTS)
def test_a_loss_that_becomes_a_win_never_worsens_the_outcome(counts: tuple[int, int, int]):
    wins, losses, ties = counts
    if losses:
        assert ORDER[outcome(wins + 1, losses - 1, ties)] >= ORDER[outcome(wins, losses, ties)]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_a_tie_that_becomes_a_win_never_worsens_the_outcome_of_420(wins: int, losses: int):
    ties = 420 - wins - losses
    before = compare(pairs(wins, losses, ties), ALPHA, MARGIN)
    after = compare(pairs(wins + 1, losses, ties - 1), ALPHA, MARGIN)
    assert ORDER[after.outcome] >= ORDER[before.outcome]
    assert after.p_worse >= before.p_worse
    assert after.p_better <= before.p_better


@settings(max_examples=50, deadline=None)
@given(COUNTS)
def test_the_interval_holds_the_difference_and_agrees_with_the_outcome(counts: tuple[int, int, int]):
    result = compare(pairs(*counts), ALPHA, MARGIN)
    low, high = result.interval
    assert low - 1e-9 <= result.difference <= high + 1e-9
    if result.outcome == "pass":
        assert low > -MARGIN or result.p_better <= ALPHA
    if result.outcome == "fail":
        assert result.difference < 0
        assert high < 1e-9


@pytest.mark.parametrize("differing", [1, 3, 5, 10, 20, 40, 80])
def test_an_equal_candidate_is_refused_with_at_most_the_error_probability(differing: int):
    refused = sum(
        binom.pmf(wins, differing, 0.5)
        for wins in range(differing + 1)
        if outcome(wins, differing - wins, 420 - differing) == "fail"
    )
    assert refused <= ALPHA
    assert refused > 0.01 or differing <= 5


def simulated(seed: int, candidate: float, incumbent: float, repeats: int) -> list[Outcome]:
    source = random.Random(seed)
    return [
        compare([(source.random() < candidate, source.random() < incumbent) for _ in range(420)], ALPHA, MARGIN).outcome
        for _ in range(repeats)
    ]


def test_ten_points_less_of_420_are_refused_almost_always():
    assert simulated(1, 0.75, 0.85, 100).count("fail") >= 93


def test_an_equal_candidate_is_seldom_refused_in_simulation():
    repeats = 200
    expected, deviation = repeats * ALPHA, (repeats * ALPHA * (1 - ALPHA)) ** 0.5
    assert simulated(2, 0.8, 0.8, repeats).count("fail") <= expected + 3 * deviation


def test_ten_points_more_pass_almost_always():
    assert simulated(3, 0.85, 0.75, 100).count("pass") >= 93


def test_a_share_without_data_could_be_anything():
    assert proportion_interval(0, 0) == (0.0, 1.0)
    low, high = proportion_interval(8, 10)
    assert 0 < low < 0.8 < high < 1
