from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.gate.watch import OUTAGE, Thresholds, judge

LIMITS = Thresholds(success=0.85, latency_ms=1000, minimum_samples=20)


def test_three_errors_in_a_row_are_an_outage_whatever_else_happened():
    assert judge(1000, 1000, [10.0] * 1000, OUTAGE - 1, LIMITS).health == "healthy"
    finding = judge(1000, 1000, [10.0] * 1000, OUTAGE, LIMITS)
    assert finding.health == "failing"
    assert finding.reason == "3 requests in a row failed"


def test_no_data_is_unknown():
    assert judge(0, 0, [], 0, LIMITS).health == "unknown"


def test_fewer_outcomes_than_needed_are_unknown_while_they_are_good():
    assert judge(19, 19, [10.0] * 19, 0, LIMITS).health == "unknown"
    assert judge(20, 20, [10.0] * 20, 0, LIMITS).health == "healthy"


def test_a_few_clear_failures_do_not_wait_for_the_rest():
    assert judge(0, 2, [], 0, LIMITS).health == "unknown"
    finding = judge(0, 3, [], 0, LIMITS)
    assert finding.health == "failing"
    assert "0.0% of 3" in finding.reason


def test_success_a_little_under_the_bound_is_not_surely_under_it():
    assert judge(16, 20, [], 0, LIMITS).health == "healthy"
    assert judge(12, 20, [], 0, LIMITS).health == "failing"
    assert judge(1600, 2000, [], 0, LIMITS).health == "failing"


@pytest.mark.parametrize(("latency", "health"), [(1000.0, "healthy"), (1000.1, "failing")])
def test_the_median_latency_decides_not_the_outliers(latency: float, health: str):
    assert judge(30, 30, [latency] * 20 + [1.0] * 5 + [90_000.0] * 5, 0, LIMITS).health == health


def test_a_few_slow_answers_are_too_few_for_a_median():
    assert judge(30, 30, [9000.0] * 19, 0, LIMITS).health == "healthy"


def test_the_bound_is_the_incumbents_level_where_that_is_lower():
    assert LIMITS.bound == 0.85
    assert replace(LIMITS, incumbent=0.5).bound == 0.5
    assert replace(LIMITS, incumbent=0.99).bound == 0.85
    assert judge(100, 200, [], 0, LIMITS).health == "failing"
    assert judge(100, 200, [], 0, replace(LIMITS, incumbent=0.5)).health == "healthy"
    assert judge(60, 200, [], 0, replace(LIMITS, incumbent=0.5)).health == "failing"


def test_an_incumbent_that_never_succeeded_cannot_be_undercut():
    assert judge(0, 50, [], 0, replace(LIMITS, incumbent=0.0)).health == "healthy"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 300), st.data())
def test_one_more_success_never_makes_a_healthy_window_fail(outcomes: int, data: st.DataObject):
    successes = data.draw(st.integers(0, outcomes))
    if judge(successes, outcomes, [], 0, LIMITS).health != "failing":
        assert judge(successes + 1, outcomes + 1, [], 0, LIMITS).health != "failing"
