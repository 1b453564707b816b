import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.evidence import confidence_sequence, e_value, mirrored, proportion_interval

VALUES = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])
OBSERVATIONS = st.dictionaries(VALUES, st.integers(1, 300), max_size=5)
BOUNDS = st.floats(-0.9, 0.9)


def with_one_more(observations: dict[float, int], value: float) -> dict[float, int]:
    return {**observations, value: observations.get(value, 0) + 1}


@given(BOUNDS)
def test_without_observations_there_is_no_evidence(bound: float):
    assert e_value({}, bound) == pytest.approx(1)


@given(OBSERVATIONS, BOUNDS, VALUES)
def test_an_observation_above_the_bound_never_lowers_the_evidence_and_one_below_never_raises_it(seen, bound, value):
    before, after = e_value(seen, bound), e_value(with_one_more(seen, value), bound)
    if value >= bound:
        assert after >= before * (1 - 1e-9)
    else:
        assert after <= before * (1 + 1e-9)


@given(OBSERVATIONS, BOUNDS, BOUNDS)
def test_a_higher_bound_never_has_more_evidence(seen, one, other):
    low, high = sorted((one, other))
    assert e_value(seen, high) <= e_value(seen, low) * (1 + 1e-9)


@given(BOUNDS.filter(lambda bound: abs(bound) < 0.9), st.integers(1, 6))
def test_nobody_can_expect_to_win_when_the_mean_is_the_bound(bound, draws):
    """The exact expectation over every sequence of ±1 with that mean: at most the first stake."""
    up = (1 + bound) / 2
    expected = sum(
        math.comb(draws, wins) * up**wins * (1 - up) ** (draws - wins) * e_value({1.0: wins, -1.0: draws - wins}, bound)
        for wins in range(draws + 1)
    )
    assert expected == pytest.approx(1, rel=1e-6)


@given(OBSERVATIONS)
def test_the_interval_holds_the_mean_and_is_mirrored_with_the_data(seen):
    low, high = confidence_sequence(seen, 0.025)
    count = sum(seen.values())
    mean = sum(value * number for value, number in seen.items()) / count if count else 0.0
    assert -1 <= low <= mean + 1e-6
    assert mean - 1e-6 <= high <= 1
    other_low, other_high = confidence_sequence(mirrored(seen), 0.025)
    assert (other_low, other_high) == pytest.approx((-high, -low), abs=1e-6)


def test_the_evidence_of_very_many_observations_is_still_a_number():
    assert math.isfinite(e_value({1.0: 10**6}, 0.0))
    assert e_value({-1.0: 10**6}, 0.0) == pytest.approx(0, abs=1e-300)


def test_wilson_knows_nothing_without_data():
    assert proportion_interval(0, 0) == (0.0, 1.0)
    low, high = proportion_interval(8, 10)
    assert 0.4 < low < 0.8 < high < 0.98
