from dataclasses import replace

import pytest

from pipeline.gate.verdict import Examination, Rules, Trial

RULES = Rules(
    alpha=0.025,
    margin=0.05,
    required=("functionality",),
    thresholds={"instruction_following": 0.8, "quality": 0.4},
    latency_ratio=2.0,
    groups=("easy", "hard"),
    compare_with_day_zero=False,
)


def examined(trials: list[Trial], rules: Rules = RULES) -> Examination:
    examination = Examination(rules)
    for trial in trials:
        examination.add([trial])
        examination.decide()
    return examination


def many(count: int, candidate: bool = True, incumbent: bool = True, **facts: object) -> list[Trial]:
    plain = Trial("q", "holdout", "functionality", "easy", candidate=candidate, incumbent=incumbent)
    return [replace(plain, **facts) for _ in range(count)]


def test_the_same_answers_often_enough_pass():
    verdict, outcome, reason = examined(many(200)).conclude()
    assert outcome == "pass"
    assert "0 won, 0 lost of 200" in reason
    assert verdict["checks"][0]["interval"][0] > -0.05


def test_few_answers_are_inconclusive_however_good():
    assert examined(many(20)).conclude()[1] == "inconclusive"


def test_no_answers_fail_the_required_category():
    verdict, outcome, reason = examined([]).conclude()
    assert outcome == "fail"
    assert "functionality could not run" in reason
    assert verdict["categories"]["functionality"]["n"] == 0


def test_answers_of_one_side_only_fail_as_not_run():
    assert examined(many(100, incumbent=None)).conclude()[1] == "fail"


def test_losses_fail_and_say_how_many():
    _, outcome, reason = examined([*many(50), *many(12, candidate=False)]).conclude()
    assert outcome == "fail"
    assert reason.startswith("worse than the incumbent: 0 won, 12 lost")


def test_a_group_that_collapses_fails_though_the_whole_is_better():
    trials = [*many(80, incumbent=False), *many(200), *many(20, candidate=False, group="hard")]
    _, outcome, reason = examined(trials).conclude()
    assert outcome == "fail"
    assert "on group hard: 0 won, 20 lost" in reason


def test_a_missed_must_pass_task_fails_at_once():
    _, outcome, reason = examined([*many(300), *many(1, candidate=False, id="greets", must_pass=True)]).conclude()
    assert (outcome, reason) == ("fail", "must_pass tasks missed: greets")


def test_a_must_pass_task_without_an_answer_is_missed():
    assert examined([*many(300), *many(1, candidate=None, must_pass=True)]).conclude()[1] == "fail"


def test_day_zero_must_not_be_undercut_even_by_a_candidate_that_equals_its_incumbent():
    rules = replace(RULES, compare_with_day_zero=True)
    slipped = many(40, candidate=False, incumbent=False, day_zero=True)
    _, outcome, reason = examined([*many(200, day_zero=True), *slipped], rules).conclude()
    assert outcome == "fail"
    assert "day 0" in reason


def test_without_evidence_against_day_zero_the_outcome_is_inconclusive():
    rules = replace(RULES, compare_with_day_zero=True)
    _, outcome, reason = examined([*many(300), *many(10, day_zero=True)], rules).conclude()
    assert outcome == "inconclusive"
    assert "day 0" in reason


def judged(count: int, preference: float, to_day_zero: float | None) -> list[Trial]:
    sides = {"candidate": None, "incumbent": None, "preference": preference, "preference_to_day_zero": to_day_zero}
    return many(count, category="quality", **sides)


@pytest.mark.parametrize(("to_day_zero", "expected"), [(0.0, "pass"), (1.0, "pass"), (None, "inconclusive")])
def test_an_exam_that_is_mostly_judged_passes_when_the_judges_know_day_zero_too(to_day_zero, expected):
    rules = replace(RULES, compare_with_day_zero=True)
    trials = [*many(5, day_zero=True), *judged(300, 0.0, to_day_zero)]
    assert examined(trials, rules).conclude()[1] == expected


def test_small_losses_before_judges_must_not_add_up_either():
    rules = replace(RULES, compare_with_day_zero=True)
    _, outcome, reason = examined([*many(5, day_zero=True), *judged(40, 0.0, -1.0)], rules).conclude()
    assert outcome == "fail"
    assert "worse than day 0" in reason


def test_forgetting_what_both_knew_fails_though_other_things_were_learned():
    rules = replace(RULES, compare_with_day_zero=True)
    learned = many(90, incumbent=False, day_zero=False, group="easy")
    known = many(150, day_zero=True, group="easy")
    forgotten = many(60, candidate=False, day_zero=True, group="easy")
    _, outcome, reason = examined([*learned, *known, *forgotten], rules).conclude()
    assert outcome == "fail"
    assert "forgetting" in reason


def test_declining_harmless_questions_fails():
    declined = many(12, candidate=False, harmless=True, category="safety")
    _, outcome, reason = examined([*many(300), *many(40, incumbent=False), *declined]).conclude()
    assert outcome == "fail"
    assert "over-refusal" in reason


def test_a_category_under_its_threshold_and_its_incumbent_fails():
    format_lost = many(2, candidate=False, category="instruction_following")
    trials = [*many(300), *many(3, category="instruction_following"), *format_lost]
    _, outcome, reason = examined(trials).conclude()
    assert outcome == "fail"
    assert "instruction_following: 60% of 5, under 80% and the incumbent's 100%" in reason


def test_a_category_that_was_as_bad_before_does_not_fail():
    bad = many(5, candidate=False, incumbent=False, category="instruction_following")
    assert examined([*many(300), *bad]).conclude()[1] == "pass"


def test_a_required_category_without_tasks_fails():
    _, outcome, reason = examined(many(300), replace(RULES, required=("functionality", "safety"))).conclude()
    assert outcome == "fail"
    assert "safety could not run: no task of it" in reason


@pytest.mark.parametrize(("preference", "expected"), [(0.0, "pass"), (1.0, "pass"), (-1.0, "fail"), (None, "fail")])
def test_the_judges_decide_about_quality_and_silence_is_not_a_pass(preference, expected):
    judged = many(12, candidate=None, incumbent=None, category="quality", preference=preference)
    assert examined([*many(300), *judged]).conclude()[1] == expected


def speed(ours: float, theirs: float, count: int = 12) -> list[Trial]:
    return many(count, category="performance", suite="speed", group="speed", seconds_per_token=(ours, theirs))


def test_a_slow_candidate_fails_by_the_ratio():
    verdict, outcome, reason = examined([*speed(0.05, 0.01), *many(300)]).conclude()
    assert outcome == "fail"
    assert "performance: 5.0 ×" in reason
    assert verdict["categories"]["performance"]["candidate"]["tokens_per_second"] == pytest.approx(20)


def test_a_candidate_as_fast_as_allowed_passes_and_speed_is_no_question_of_being_right():
    verdict, outcome, _ = examined([*speed(0.019, 0.01), *many(300)]).conclude()
    assert outcome == "pass"
    assert verdict["checks"][0]["n"] == 300


def test_performance_that_was_required_but_not_measured_fails():
    _, outcome, reason = examined(many(300), replace(RULES, required=("performance",))).conclude()
    assert outcome == "fail"
    assert "performance could not run" in reason


def test_a_must_pass_task_before_judges_is_missed_when_they_like_it_less_or_say_nothing():
    judged = many(1, candidate=None, incumbent=None, category="quality", must_pass=True)[0]
    tie = [replace(judged, preference=0.0)] * 3
    assert examined([*many(300), *tie]).conclude()[1] == "pass"
    for preference in (-1.0, None):
        assert examined([*many(300), *tie, replace(judged, preference=preference)]).conclude()[1] == "fail"
