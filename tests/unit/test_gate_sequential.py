import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.sequential import Leg, difference

RIGHT = st.sampled_from([True, False, None])
PAIRS = st.lists(st.tuples(RIGHT, RIGHT), max_size=150)


def leg_of(pairs: list[tuple[bool | None, bool | None]], **options: float) -> Leg:
    leg = Leg("overall", **{"alpha": 0.025, "margin": 0.05, **options})
    for ours, theirs in pairs:
        leg.add([difference(ours, theirs)])
    return leg


@given(PAIRS)
def test_swapping_the_sides_swaps_wins_losses_and_the_interval(pairs):
    one, other = leg_of(pairs), leg_of([(theirs, ours) for ours, theirs in pairs])
    assert (one.wins, one.losses, one.pairs) == (other.losses, other.wins, other.pairs)
    low, high = one.to_record()["interval"]
    assert tuple(other.to_record()["interval"]) == pytest.approx((-high, -low), abs=1e-6)


@given(PAIRS)
def test_one_more_win_never_speaks_against_the_candidate(pairs):
    before, after = leg_of(pairs), leg_of([*pairs, (True, False)])
    assert after.harm <= before.harm * (1 + 1e-9)
    assert after.kept >= before.kept * (1 - 1e-9)


@given(st.lists(st.sampled_from([(True, None), (None, True), (False, None), (None, None)]), max_size=300))
def test_nothing_is_decided_from_empty_or_single_sided_data(pairs):
    leg = leg_of(pairs)
    assert leg.decide() == "inconclusive"
    assert leg.pairs == 0


@given(PAIRS)
def test_a_decision_needs_the_evidence_that_it_names(pairs):
    leg = leg_of(pairs)
    outcome = leg.decide()
    assert (outcome == "fail") == (leg.harm >= 1 / leg.alpha)
    assert (outcome == "pass") == (leg.harm < 1 / leg.alpha <= leg.kept)


def test_a_fail_is_final_even_when_wins_follow():
    leg = leg_of([(False, True)] * 10)
    assert leg.decide() == "fail"
    for _ in range(500):
        leg.add([1.0])
    assert leg.decide() == "fail"


def test_a_pass_is_withdrawn_when_harm_shows_later():
    leg = leg_of([(True, True)] * 120)
    assert leg.decide() == "pass"
    for _ in range(10):
        leg.add([-1.0])
    assert leg.decide() == "fail"


def test_ten_variants_of_one_question_count_as_one():
    single, variants = leg_of([(False, True)]), Leg("overall", 0.025, 0.05)
    variants.add([-1.0] * 10)
    assert variants.harm == single.harm
    assert (variants.pairs, variants.losses) == (10, 10)


def test_with_a_tolerance_only_a_larger_loss_is_harm():
    source = random.Random(1)
    pairs = [(source.random() > 0.04, True) for _ in range(400)]
    assert leg_of(pairs).decide() == "fail"
    assert leg_of(pairs, tolerance=0.05).decide() != "fail"
    assert leg_of([(source.random() > 0.2, True) for _ in range(400)], tolerance=0.05).decide() == "fail"


def test_false_refusals_stay_under_alpha_though_every_pair_is_looked_at():
    source, refused = random.Random(2), 0
    for _ in range(300):
        leg = Leg("overall", 0.025, 0.05)
        for _ in range(150):
            leg.add([source.choice([1.0, -1.0, 0.0, 0.0])])
            if leg.decide() == "fail":
                refused += 1
                break
    assert refused <= 300 * 0.025 + 8  # three standard deviations above
