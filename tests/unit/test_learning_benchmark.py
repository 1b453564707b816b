import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks import week, week_picture
from benchmarks.grpo import Recipe, Reward, changed
from benchmarks.learning_bars import ahead, nights_below, rows_of
from benchmarks.nights import SUMS, TEXTS, answered, kept, shares
from pipeline.gate.evidence import proportion_interval

SUCCESSES = (0.51, 0.76, 0.85, 0.9, 0.9, 0.95, 0.975, 0.985)
TEXT_SUCCESSES = (0.26, 0.26, 0.26, 0.26, 0.6, 0.7, 0.8, 0.9)


def share(success: float) -> dict[str, Any]:
    passed = round(400 * success)
    return {
        "asked": 400,
        "passed": passed,
        "success": passed / 400,
        "interval": list(proportion_interval(passed, 400)),
    }


def week_of(sums: tuple[float, ...] = SUCCESSES, texts: tuple[float, ...] = TEXT_SUCCESSES) -> list[dict[str, Any]]:
    both = [{SUMS: share(one), TEXTS: share(other)} for one, other in zip(sums, texts, strict=True)]
    return [
        {
            "night": number + 1,
            "before": before,
            "after": after,
            "day_zero": {"right": 308, "wrong_now": 1},
            "rounds": 3,
            "drafts": 16,
            "harvest_to_deployed": 300.0,
        }
        for number, (before, after) in enumerate(pairwise(both))
    ]


def seed_of(nights: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "nights": nights,
        "tokens": 100_000,
        "patience": 1,
        "plain": {"before": 0.51, "after": 0.53},
        "grpo": {"before": 0.51, "after": 0.55},
    }


def test_a_week_that_learns_and_forgets_nothing_holds_every_bar():
    assert all(row.holds for row in rows_of([seed_of(week_of())]) if row.bar != "–")


@pytest.mark.parametrize(
    "measure, spoil",
    [
        ("fresh base", lambda each: each["nights"][0]["before"].update({SUMS: share(0.6)})),
        ("one night", lambda each: each["nights"][0]["after"].update({SUMS: share(0.74)})),
        ("seven nights", lambda each: each["nights"][6]["after"].update({SUMS: share(0.975)})),
        ("below the interval", lambda each: each["nights"][4]["after"].update({SUMS: share(0.8)})),
        ("wrong after night 7", lambda each: each["nights"][6]["day_zero"].update(wrong_now=2)),
        ("plain recipe", lambda each: each["plain"].update(after=0.64)),
        ("GRPO, the same", lambda each: each["grpo"].update(after=0.64)),
        ("second family", lambda each: each["nights"][3]["after"].update({TEXTS: share(0.45)})),
        ("second family", lambda each: each["nights"][3]["after"].update({SUMS: share(0.8875)})),
        ("minutes", lambda each: each["nights"][5].update(harvest_to_deployed=361.0)),
        ("answers drawn", lambda each: each["nights"][6].update(drafts=17)),
        ("answers drawn", lambda each: each["nights"][2].update(rounds=5)),
    ],
)
def test_one_bad_seed_of_two_misses_its_bar_and_no_other(measure: str, spoil: Any):
    good, bad = seed_of(week_of()), copy.deepcopy(seed_of(week_of()))
    spoil(bad)
    missed = [row.measure for row in rows_of([good, bad]) if row.holds is False]
    assert len(missed) == 1
    assert measure in missed[0]


@pytest.mark.parametrize(
    ("patiences", "told", "holds"), [((1, 2), "5.0 (7.0 with", True), ((2, 2), "(7.0, 7.0 with", None)]
)
def test_a_seed_that_had_more_time_says_nothing_about_time(patiences: tuple[int, ...], told: str, holds: bool | None):
    seeds = [seed_of(week_of()) for _ in patiences]
    for each, patience in zip(seeds, patiences, strict=True):
        each["patience"] = patience
        for night in each["nights"]:
            night["harvest_to_deployed"] = 300.0 if patience == 1 else 420.0
    (row,) = [each for each in rows_of(seeds) if "minutes" in each.measure]
    assert row.measured.startswith(told)
    assert row.holds is holds


def test_one_night_has_no_rows_about_later_ones():
    measures = [row.measure for row in rows_of([seed_of(week_of()[:1])])]
    assert not any("seven" in each or "second family" in each for each in measures)


def test_a_dip_within_the_interval_is_no_fall_and_a_slow_slide_is_one():
    assert nights_below(week_of((0.5, 0.76, 0.75, 0.77, 0.76, 0.77, 0.76, 0.78))) == []
    assert nights_below(week_of((0.5, 0.80, 0.79, 0.78, 0.77, 0.76, 0.75, 0.74))) == [6, 7]


def test_nobody_is_ahead_without_gaining():
    assert ahead(1.0, -3.0)
    assert ahead(2.0, 1.0)
    assert not ahead(0.0, -3.0)
    assert not ahead(1.9, 1.0)


def question(group: str, text: str, ours: bool | None, theirs: bool | None) -> dict[str, Any]:
    return {
        "group": group,
        "messages": [{"role": "user", "content": text}],
        "candidate": {"passed": ours},
        "incumbent": {"passed": theirs},
    }


def test_a_candidate_that_was_not_deployed_changes_nothing():
    examined = [question("1 operations", "a", True, False), question("text: 1 operations", "a", None, True)]
    before, after = answered(examined, deployed=False)
    assert before == after
    before, after = answered(examined, deployed=True)
    assert [shares(before)[family]["success"] for family in (SUMS, TEXTS)] == [0.0, 1.0]
    assert [shares(after)[family]["success"] for family in (SUMS, TEXTS)] == [1.0, 0.0]
    assert kept(before, after) == {"right": 1, "wrong_now": 1}


def test_the_terminal_shows_both_families_and_every_night():
    lines = week.curve(week_of()).splitlines()
    assert sum("●" in line for line in lines) == 16
    night_7 = next(line for line in lines if line.startswith("night 7"))
    assert night_7.index("├") < night_7.index("●") < night_7.index("┤")
    assert "98.5% (96.8–99.3)" in night_7


def test_the_picture_is_the_same_for_the_same_numbers_and_another_with_the_alternatives(tmp_path: Path):
    pytest.importorskip("matplotlib", reason="extra pictures is not installed")
    learning = {"seeds": [seed_of(week_of())]}
    for name, result in (("once", None), ("again", None), ("more", learning)):
        week_picture.draw(week_of(), result, tmp_path / name)
    once, again, more = ((tmp_path / name).read_bytes() for name in ("once", "again", "more"))
    assert once.startswith(b"\x89PNG")
    assert once == again
    assert once != more


def test_the_alternatives_are_drawn_at_the_mean_of_their_seeds():
    one, other = seed_of(week_of()), seed_of(week_of())
    other["plain"] = {"before": 0.51, "after": 0.55}
    heights = {name: height for name, height, *_ in week_picture.levels({"seeds": [one, other]})}
    assert [round(height, 6) for height in heights.values()] == [54.0, 55.0]
    assert week_picture.levels(None) == []


def test_the_reward_is_the_check_and_counts_what_was_generated():
    reward = Reward()
    check = json.dumps({"type": "vm", "memory": {"x": 3}})
    programs = ['PUSH #3\nSTORE "x"\nHALT', 'PUSH #4\nSTORE "x"\nHALT', "what?"]
    answers = [[{"role": "assistant", "content": program}] for program in programs]
    assert reward(answers, [[1, 2, 3], [1, 2], [1]], [check] * 3) == [1.0, 0.0, 0.0]
    assert reward.tokens == 6


def test_a_recipe_is_changed_by_name_in_the_type_that_it_has():
    recipe = changed(Recipe(), ["learning_rate=1e-3", "batch=64", "step=32", "passes=3", "loss=cispo"])
    assert (recipe.learning_rate, recipe.loss, recipe.steps) == (1e-3, "cispo", 6)
    with pytest.raises(AttributeError):
        changed(Recipe(), ["learning=1"])
