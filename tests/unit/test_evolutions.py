from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.lib.signals import NOT_THE_MODELS
from pipeline.metrics import evolutions
from pipeline.metrics.evolutions import calculate_efficiency
from pipeline.metrics.rows import EvolutionMetric, FeedbackMetric, QueryMetric, ResourceSample, Row, Status
from pipeline.metrics.store import MetricsStore, reading

AGENT, DAY, NOW = "starter", 86_400.0, 1_795_000_000.0


def night(days_ago: float, status: Status, before: float | None = None, after: float | None = None) -> EvolutionMetric:
    run = f"night-{days_ago:05.1f}"
    improvement = None if before is None or after is None else after - before
    return EvolutionMetric(
        AGENT,
        run,
        "sft",
        status,
        NOW - days_ago * DAY,
        600.0,
        generation=run if status in ("deployed", "rolled_back", "refused") else None,
        performance_before=before,
        performance_after=after,
        improvement=improvement,
    )


def answers(adapter: str, right: int, wrong: int, days_ago: float = 1.0) -> Iterable[Row]:
    for number in range(right + wrong):
        identity = f"{adapter}-{number}"
        yield QueryMetric(identity, NOW - days_ago * DAY, AGENT, adapter, 100.0)
        yield FeedbackMetric(identity, NOW - days_ago * DAY + 1, AGENT, success=number < right)


class Store:
    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, rows: Iterable[Row]) -> None:
        with MetricsStore(self.path) as store:
            for row in rows:
                store.add(row)

    def ask(self, question, *arguments, **named):
        with reading(self.path) as db:
            return question(db, *arguments, **named)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "metrics.sqlite")


def test_an_empty_store_answers_everything_with_nothing(store: Store):
    assert store.ask(evolutions.history) == []
    assert store.ask(evolutions.top) == []
    assert store.ask(evolutions.trends, 30, NOW) == []
    assert store.ask(evolutions.trajectory, AGENT) == []
    assert store.ask(evolutions.success_rate)["rate"] is None
    assert store.ask(evolutions.should_evolve, AGENT, NOW)["should"] is False
    assert store.ask(evolutions.should_retire, AGENT, NOW)["should"] is False


def test_history_is_the_newest_first_of_one_model_or_of_all(store: Store):
    other = EvolutionMetric("other", "x", "dpo", "deployed", NOW, 1.0)
    store.add([night(3, "refused"), night(1, "deployed"), night(2, "nothing"), other])
    assert [row["status"] for row in store.ask(evolutions.history, AGENT)] == ["deployed", "nothing", "refused"]
    assert [row["agent"] for row in store.ask(evolutions.history, limit=2)] == ["other", AGENT]


def test_top_has_what_improved_most_and_stayed(store: Store):
    given_up = night(4, "rolled_back", 0.1, 0.9)
    store.add([night(3, "deployed", 0.5, 0.6), night(2, "deployed", 0.6, 0.8), night(1, "refused", 0.8, 0.9), given_up])
    assert [round(row["improvement"], 3) for row in store.ask(evolutions.top)] == [0.2, 0.1]
    assert len(store.ask(evolutions.top, limit=1)) == 1


def test_nights_without_work_and_candidates_that_wait_are_no_attempts(store: Store):
    statuses: list[Status] = ["deployed", "refused", "rolled_back", "failed", "nothing", "nothing", "trained"]
    store.add(night(number, status) for number, status in enumerate(statuses))
    found = store.ask(evolutions.success_rate, AGENT)
    assert (found["attempts"], found["deployed"], found["rate"]) == (4, 1, 0.25)
    assert found["interval"][0] < 0.25 < found["interval"][1]
    assert found["statuses"]["nothing"] == 2
    assert store.ask(evolutions.success_rate, AGENT, 0.5, NOW)["attempts"] == 1


def test_the_trajectory_keeps_the_best_and_what_serves(store: Store):
    story: list[tuple[Status, float, float]] = [
        ("deployed", 0.5, 0.7),
        ("refused", 0.7, 0.6),
        ("rolled_back", 0.7, 0.9),
        ("deployed", 0.7, 0.65),
    ]
    store.add([night(9 - number, *each) for number, each in enumerate(story)] + [night(10, "failed")])
    found = store.ask(evolutions.trajectory, AGENT)
    assert [each["serving"] for each in found] == [0.7, 0.7, 0.7, 0.65]
    assert [each["best"] for each in found] == [0.7, 0.7, 0.7, 0.7]
    assert [each["candidate"] for each in found] == [0.7, 0.6, 0.9, 0.65]


@given(st.floats(-1, 1), st.floats(1, 1e6))
def test_efficiency_is_improvement_an_hour(improvement: float, seconds: float):
    found = calculate_efficiency(improvement, seconds)
    assert found is not None
    assert found * seconds / 3600 == pytest.approx(improvement)


def test_no_time_or_no_improvement_has_no_efficiency():
    assert calculate_efficiency(None, 60) is None
    assert calculate_efficiency(0.1, 0) is None


def test_resources_are_summed_up_by_the_day_a_stage_began(store: Store):
    midnight = NOW - NOW % DAY
    samples = [(-10.0, 100.0, 500.0, 1.0), (10.0, 300.0, 900.0, 4.0)]
    store.add(
        ResourceSample(midnight + at, "run", "train", cpu, memory, None, sent, 1.0) for at, cpu, memory, sent in samples
    )
    store.add([ResourceSample(midnight - 5, "other", "train", 50.0, 100.0, None, 2.0, 0.0)])
    (line,) = store.ask(evolutions.trends, 30, midnight + DAY)
    assert (line["runs"], line["samples"], line["cpu_percent"], line["memory_used_mb"]) == (2, 3, 150.0, 900.0)
    assert (line["gpu_memory_used_mb"], line["network_mb"]) == (None, 7.0)


def test_enough_failures_since_the_last_attempt_are_worth_a_night(store: Store):
    store.add([night(1, "refused"), *answers("base", 50, 0)])
    store.add(QueryMetric(f"e{number}", NOW - 0.2 * DAY, AGENT, error="EngineError") for number in range(3))
    store.add(QueryMetric(kind, NOW - 0.2 * DAY, AGENT, error=kind) for kind in NOT_THE_MODELS)
    store.add([FeedbackMetric("e0", NOW, AGENT, thumb=-1), FeedbackMetric("f", NOW, AGENT, edited=True)])
    assert store.ask(evolutions.should_evolve, AGENT, NOW)["failures"] == 4
    assert not store.ask(evolutions.should_evolve, AGENT, NOW)["should"]
    store.add([FeedbackMetric("g", NOW, AGENT, success=False)])
    found = store.ask(evolutions.should_evolve, AGENT, NOW)
    assert found["should"]
    assert "5 failures" in found["reason"]
    assert not store.ask(evolutions.should_evolve, "another", NOW)["should"]


def test_no_attempt_follows_another_within_hours_but_a_night_without_work_was_none(store: Store):
    store.add([*answers("base", 0, 9, 0.1), night(0.5, "nothing")])
    assert store.ask(evolutions.should_evolve, AGENT, NOW)["should"]
    store.add([night(0.4, "failed")])
    found = store.ask(evolutions.should_evolve, AGENT, NOW)
    assert not found["should"]
    assert found["hours_since"] == pytest.approx(9.6)
    assert store.ask(evolutions.should_evolve, AGENT, NOW, hours=9)["should"]


@pytest.mark.parametrize(("right", "wrong", "due"), [(1, 1, False), (60, 40, True), (90, 10, False)])
def test_live_success_surely_under_the_target_is_worth_a_night(store: Store, right: int, wrong: int, due: bool):
    store.add([*answers("base", right, wrong, 2.0), night(1, "refused")])
    assert store.ask(evolutions.should_evolve, AGENT, NOW)["should"] is due


def test_an_adapter_that_is_surely_worse_live_than_the_base_is_retired(store: Store):
    store.add([night(3, "deployed"), *answers("night-003.0", 50, 50), *answers("base", 90, 10)])
    found = store.ask(evolutions.should_retire, AGENT, NOW)
    assert found["should"]
    assert "base" in found["reason"]


def test_an_adapter_that_does_not_keep_its_promise_is_retired_and_one_that_does_is_not(store: Store):
    store.add([night(3, "deployed", 0.5, 0.9), *answers("night-003.0", 60, 40)])
    assert store.ask(evolutions.should_retire, AGENT, NOW)["should"]
    assert not store.ask(evolutions.should_retire, AGENT, NOW, days=0)["should"]
    store.add([night(2, "deployed", 0.5, 0.62), *answers("night-002.0", 60, 40)])
    assert not store.ask(evolutions.should_retire, AGENT, NOW)["should"]
    assert store.ask(evolutions.should_retire, AGENT, NOW, adapter="night-003.0")["should"]


def test_a_few_wrong_answers_retire_nobody(store: Store):
    store.add([night(3, "deployed", 0.5, 0.9), *answers("night-003.0", 1, 2), *answers("base", 3, 0)])
    assert not store.ask(evolutions.should_retire, AGENT, NOW)["should"]


def test_the_last_word_about_an_answer_counts(store: Store):
    store.add([night(3, "deployed", 0.5, 0.9), *answers("night-003.0", 0, 40)])
    store.add(FeedbackMetric(f"night-003.0-{number}", NOW, AGENT, success=True) for number in range(40))
    found = store.ask(evolutions.should_retire, AGENT, NOW)
    assert (found["live"]["successes"], found["live"]["total"]) == (40, 40)
    assert not found["should"]


def test_ten_attempts_without_a_better_one_end_an_adapter(store: Store):
    store.add([night(20, "deployed", 0.5, 0.9), *(night(number, "refused") for number in range(1, 10))])
    assert not store.ask(evolutions.should_retire, AGENT, NOW)["should"]
    store.add([night(0.5, "inconclusive")])
    found = store.ask(evolutions.should_retire, AGENT, NOW)
    assert found["should"]
    assert found["attempts"] == 10
