import random
from collections import Counter
from pathlib import Path

import pytest
from attempts import DAY, DEFAULT, NOW, attempt, past, tried
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.patterns import NO_TASTE, TASTES, gain
from pipeline.evolution.history import Strategy
from pipeline.evolution.mix import weights
from pipeline.evolution.steering import Mix, Steering
from pipeline.evolution.strategies import FEWEST, MOST, Plan, arms_of, plan
from pipeline.evolution.tallies import MODEL_FADE, PATIENCE, Share, Tallies, exposure, tally
from pipeline.lib.problems import Problems

EASY = [*tried(20, pattern="easy", solved=True, drafts=2, first=2), *tried(5, pattern="easy")]
HARD = [*tried(2, pattern="hard", solved=True, first=20), *tried(40, pattern="hard")]
NEVER = tried(60, pattern="never")
KNOWN = tally(past(*EASY, *HARD, *NEVER), NOW)
TONIGHT = {"easy": 25, "hard": 42, "never": 60}


def test_the_past_fades_with_time_and_with_each_model_that_came_since():
    old, new = attempt(model="m@1", at=NOW - 14 * DAY), attempt(model="m@2", at=NOW)
    assert tally(past(old), NOW).patterns["p"].weight == pytest.approx(0.5)
    assert tally(past(old, new), NOW).patterns["p"].weight == pytest.approx(0.5 * MODEL_FADE + 1)


def test_two_models_that_are_asked_side_by_side_do_not_fade_each_other():
    asked = [attempt(model=model, at=NOW - hours * 3600) for hours in (9, 3, 2, 1) for model in ("a", "b")]
    weights_now = [tally(past(*asked[:2], each), NOW).patterns["p"].weight for each in asked[2:]]
    assert max(weights_now) - min(weights_now) < 0.02


@settings(max_examples=80)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000), st.sampled_from("abc")), max_size=30))
def test_what_weighs_today_and_what_has_faded_are_together_everything(tries: list[tuple[bool, float, str]]):
    history = past(*(attempt(solved=solved, at=NOW - days * DAY, model=model) for solved, days, model in tries))
    for pattern in tally(history, NOW).patterns.values():
        together = pattern.lately.failures + pattern.earlier.failures
        assert together == pytest.approx(len(tries))
        assert 0 <= pattern.lately.solved <= pattern.lately.failures + 1e-9
        assert -1e-9 <= pattern.earlier.solved <= pattern.earlier.failures + 1e-9


@settings(max_examples=80)
@given(st.integers(0, 200), st.integers(0, 200))
def test_an_interval_holds_the_share_and_narrows_with_more_of_the_same(solved: int, rest: int):
    low, high = Share(solved, solved + rest).interval()
    assert 0 <= low <= (solved / (solved + rest) if solved + rest else 0.5) <= high <= 1
    closer = Share(4 * solved, 4 * (solved + rest)).interval()
    assert closer[1] - closer[0] <= high - low


@settings(max_examples=80)
@given(st.integers(1, 300), st.sampled_from([2.0, 8.0, PATIENCE, 64.0]))
def test_exposure_is_what_the_drafts_are_still_worth(drafts: int, patience: float):
    exact = sum(patience / (patience + number) for number in range(drafts))
    assert exposure(drafts, patience) == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(("concentration", "between"), [(2.0, (1, 4)), (16.0, (8, 32)), (1e6, (128, 1024))])
def test_how_fast_fruitless_drafts_lose_their_promise_is_learned(concentration: float, between: tuple[float, float]):
    chance = random.Random(7)
    attempts = []
    for number in range(3000):
        mean = (0.02, 0.06, 0.2)[number % 3]
        own = chance.betavariate(concentration * mean, concentration * (1 - mean))
        first = next((draft for draft in range(1, 65) if chance.random() < own), 0)
        attempts.append(
            attempt(str(mean), first > 0, drafts=first or 64, accepted=int(first > 0), first=first, samples=64)
        )
    assert between[0] <= tally(past(*attempts), NOW).patience <= between[1]


def test_without_a_history_every_pattern_gets_the_default_number_of_samples():
    made = plan(Tallies(), {"a": 3, "b": 300}, DEFAULT, seed=0)
    assert {each.samples for each in made.advice.values()} == {32}
    assert {each.best for each in made.advice.values()} == {DEFAULT.arm}
    assert made.drafts == pytest.approx(made.default_drafts)


def test_a_pattern_that_the_plan_does_not_know_gets_the_default():
    assert plan(KNOWN, TONIGHT, DEFAULT, seed=0).strategy("another", "f") == DEFAULT
    assert Plan(DEFAULT).strategy("p", "f") == DEFAULT


def test_what_can_be_solved_gets_more_and_what_never_was_a_little():
    advice = plan(KNOWN, TONIGHT, DEFAULT, seed=0).advice
    assert advice["easy"].samples >= advice["hard"].samples > 32 > advice["never"].samples >= FEWEST


def test_a_plan_is_expected_to_solve_more_and_to_cost_no_more():
    made = plan(KNOWN, TONIGHT, DEFAULT, seed=0)
    assert made.solved > made.default_solved
    assert made.drafts <= made.default_drafts * 1.000001


def test_a_smaller_budget_is_kept_unless_that_starves_somebody():
    half = plan(KNOWN, TONIGHT, DEFAULT, seed=0).default_drafts / 2
    assert plan(KNOWN, TONIGHT, DEFAULT, seed=0, budget=half).drafts <= half
    starved = plan(KNOWN, TONIGHT, DEFAULT, seed=0, budget=0)
    assert {each.samples for each in starved.advice.values()} == {FEWEST}


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.sampled_from([0.7, 1.0, 1.3])), max_size=60),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), max_size=6),
    st.integers(1, 128),
    st.integers(0, 3),
)
def test_a_plan_stays_in_its_bounds_and_is_the_same_each_time(
    tries: list[tuple[str, bool, float]], failures: dict[str, int], samples: int, seed: int
):
    history = past(*(attempt(pattern, solved, temperature=drawn) for pattern, solved, drawn in tries))
    default = Strategy(1.0, 0.9, samples)
    made = plan(tally(history, NOW), failures, default, seed)
    assert set(made.advice) == set(failures)
    for pattern, advice in made.advice.items():
        assert min(FEWEST, samples) <= advice.samples <= MOST
        drawn = [made.strategy(pattern, str(number)) for number in range(20)]
        assert {each.arm for each in drawn} <= set(arms_of(default))
        assert drawn == [
            plan(tally(history, NOW), failures, default, seed).strategy(pattern, str(n)) for n in range(20)
        ]


def test_most_failures_are_drawn_as_what_worked_best_and_some_try_the_others():
    hot = [*tried(60, solved=True, first=4, temperature=1.3), *tried(60), *tried(60, temperature=0.7)]
    made = plan(tally(past(*hot), NOW), {"p": 100}, DEFAULT, seed=0)
    drawn = Counter(made.strategy("p", str(number)).temperature for number in range(1000))
    assert drawn[1.3] > 850
    even = plan(tally(past(*tried(40), *tried(20, solved=True, first=8)), NOW), {"p": 100}, DEFAULT, seed=0)
    drawn = Counter(even.strategy("p", str(number)).temperature for number in range(1000))
    assert min(drawn[0.7], drawn[1.3]) > 10


@pytest.mark.parametrize("temperature", [0.6667, 1 / 3, 0.0004])
def test_any_temperature_may_be_the_default(temperature: float):
    default = Strategy(temperature, 0.9, 8)
    assert plan(KNOWN, TONIGHT, default, seed=0).advice["easy"].best in arms_of(default)
    assert arms_of(default)[0] == default.arm


def test_an_arm_that_may_only_have_been_lucky_does_not_replace_the_default():
    lucky = [*tried(40, solved=True, first=8), *tried(40), *tried(1, solved=True, first=4, temperature=1.3)]
    assert plan(tally(past(*lucky), NOW), {"p": 100}, DEFAULT, seed=0).advice["p"].best == DEFAULT.arm


def test_what_worked_elsewhere_is_the_guess_for_a_new_pattern():
    hot = [*tried(60, solved=True, first=4, temperature=1.3), *tried(60)]
    assert plan(tally(past(*hot), NOW), {"new": 1}, DEFAULT, seed=0).advice["new"].best == (1.3, 0.9)


def test_what_is_rarely_solved_and_what_got_worse_weighs_more():
    before = [*tried(30, pattern="worse", solved=True, first=9, at=NOW - 60 * DAY), *tried(30, pattern="worse")]
    steady = [attempt("steady", number % 2 == 0, at=NOW - number * DAY) for number in range(60)]
    mix = weights(tally(past(*EASY, *HARD, *before, *steady), NOW), ["easy", "hard", "worse", "steady", "new"])
    assert mix["easy"] == mix["new"] == 1
    assert 1 <= mix["steady"] < 1.3
    assert mix["hard"] > 1.5
    assert mix["worse"] > mix["hard"]
    assert all(1 <= each <= 3 for each in mix.values())


@pytest.mark.parametrize("alike", [4.0, 32.0])
@pytest.mark.parametrize(("tastes", "least"), [(TASTES, 1.1), (NO_TASTE, 1.05)])
def test_learned_strategies_solve_more_with_the_same_drafts_than_equal_shares(
    alike: float, tastes: tuple[tuple[float, ...], ...], least: float
):
    gains = [gain(seed, alike, tastes) for seed in range(4)]
    assert min(gains) > 1.0
    assert sum(gains) / len(gains) > least


def test_good_answers_to_questions_like_the_unsolved_ones_weigh_more_in_replay(tmp_path: Path):
    easy, hard = (
        [f"add {number} + 1" for number in range(9)],
        [f"divide {number} by 1 & 2 % 3 # 4" for number in range(9)],
    )
    steering = Steering(tmp_path / "patterns.jsonl", [*easy, *hard], DEFAULT, NOW, 0, Problems())
    assert Mix(tmp_path / "patterns.jsonl", NOW).weight(easy[0]) == 1
    for number, question in enumerate([*easy, *hard]):
        solved = question in easy
        votes = {"cast": 8, "valid": int(solved), "accepted": int(solved)}
        steering.record(question, str(number), "wrong value in x", "m@1", votes, solved, None)
    mix = Mix(tmp_path / "patterns.jsonl", NOW)
    assert mix.weight("add 99 + 1") < mix.weight("divide 99 by 1 & 2 % 3 # 4") <= 3
