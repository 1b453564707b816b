import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.monitor import Limits, Window, evidence_of_less, judge, outage_run

LIMITS = Limits(success=0.85, latency_ms=1000, minimum_samples=20, incumbent_success=0.95)
GOOD = [True] * 19 + [False]


def test_no_data_is_never_healthy():
    assert judge(Window(), LIMITS).health == "unknown"
    assert judge(Window(latencies_ms=[5.0] * 500), LIMITS).health == "unknown"


@given(st.integers(0, 19))
def test_too_little_data_is_not_healthy(count):
    assert judge(Window([True] * count), LIMITS).health == "unknown"


def test_enough_right_answers_are_healthy_and_say_how_many():
    finding = judge(Window(GOOD), LIMITS)
    assert finding.health == "healthy"
    assert "95.0% of 20" in finding.reason


@pytest.mark.parametrize("before", [0, 1, 5, 40])
def test_an_outage_is_found_after_three_requests_at_any_moment(before):
    assert judge(Window([True] * before + [False] * 3, trailing_errors=3), LIMITS).health == "failing"


def test_where_errors_are_usual_a_run_of_three_is_no_outage_yet():
    assert outage_run(0.0) == outage_run(0.01) == 3
    assert outage_run(0.1) == 6
    assert outage_run(0.5) == outage_run(1.0) == 20


def test_two_wrong_answers_at_the_start_of_a_good_models_watch_are_a_collapse():
    finding = judge(Window([False, False]), LIMITS)
    assert finding.health == "failing"
    assert "collapse from 95.0%" in finding.reason


def test_a_collapse_in_the_middle_of_the_watch_is_found():
    assert judge(Window([True] * 30 + [False] * 8), LIMITS).health == "failing"


def test_a_slow_decline_under_the_threshold_is_found():
    window = Window([True, True, True, False] * 100)
    assert judge(window, replace(LIMITS, incumbent_success=0.86)).health == "failing"


def test_a_model_of_modest_success_is_held_to_its_own_level():
    half = Window([True, False] * 30)
    assert judge(half, replace(LIMITS, incumbent_success=0.52)).health == "healthy"
    assert judge(half, replace(LIMITS, incumbent_success=None)).health == "failing"


def test_slow_answers_fail_against_the_threshold_and_against_the_incumbent():
    assert "1200 ms > 1000 ms" in judge(Window(GOOD, latencies_ms=[1200.0] * 20), LIMITS).reason
    against = replace(LIMITS, incumbent_latency_ms=100, latency_ratio=2)
    assert judge(Window(GOOD, latencies_ms=[150.0] * 20), against).health == "healthy"
    assert "300 ms > 200 ms" in judge(Window(GOOD, latencies_ms=[300.0] * 20), against).reason


def test_a_late_first_token_fails_though_the_whole_answer_is_in_time():
    against = replace(LIMITS, incumbent_first_token_ms=20, latency_ratio=2)
    finding = judge(Window(GOOD, latencies_ms=[90.0] * 20, first_token_ms=[80.0] * 20), against)
    assert finding.health == "failing"
    assert "first token" in finding.reason


def test_one_slow_answer_in_three_is_not_a_slow_model():
    assert judge(Window(GOOD, latencies_ms=[100.0, 100.0, 3000.0] * 20), LIMITS).health == "healthy"


@given(st.floats(0.05, 0.95), st.integers(1, 9))
def test_the_watch_is_a_fair_game_when_nothing_has_changed(level, length):
    """The exact expectation over every sequence of outcomes at the level: the stake stays 1."""
    expected = 0.0
    for outcomes in itertools.product([True, False], repeat=length):
        chance = level ** sum(outcomes) * (1 - level) ** (length - sum(outcomes))
        expected += chance * evidence_of_less(outcomes, level, (0.3 * level, 0.8 * level))
    assert expected == pytest.approx(1)
