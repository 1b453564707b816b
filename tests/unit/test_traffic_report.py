"""The traffic of a window, from the daily tables that the store fills."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.stats import binomtest

from pipeline.lib.sections import Report, Retrieval
from pipeline.metrics import traffic
from pipeline.metrics.intervals import share_change, wilson
from pipeline.metrics.rows import FeedbackMetric, QueryMetric
from pipeline.metrics.store import MetricsStore, reading
from pipeline.reporting import targets

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
DAY = 86_400


def recorded(home: Path, *rows: Any) -> Path:
    path = home / "metrics.sqlite"
    with MetricsStore(path) as store:
        for row in rows:
            store.add(row)
    return path


def query(number: int = 0, at: float = NOON, **values: Any) -> QueryMetric:
    return QueryMetric(f"{number:024x}", at, values.pop("agent", "starter"), **values)


def week_of(home: Path, *rows: Any) -> dict[str, Any]:
    with reading(recorded(home, *rows)) as db:
        return traffic.week(db, 7, NOON)


@settings(max_examples=40)
@given(
    latencies=some.lists(some.floats(0.5, 200_000), min_size=1, max_size=200),
    quantile=some.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_a_quantile_is_within_five_percent_of_the_exact_one(
    tmp_path_factory: pytest.TempPathFactory, latencies: list[float], quantile: float
):
    home = tmp_path_factory.mktemp("store")
    path = recorded(home, *(query(number, latency_ms=value) for number, value in enumerate(latencies)))
    with reading(path) as db:
        (found,) = traffic.latency_quantiles(db, 1, NOON, [quantile]).values()
    exact = sorted(latencies)[ceil(quantile * len(latencies)) - 1]
    assert found == pytest.approx(exact, rel=0.05)


REQUESTS = some.lists(
    some.tuples(
        some.integers(0, 9),
        some.sampled_from(["starter", "other"]),
        some.none() | some.floats(1, 9000),
        some.none() | some.just("TimeoutError"),
        some.integers(0, 2),
        some.integers(0, 2),
        some.none() | some.integers(0, 500),
    ),
    max_size=60,
)


@settings(max_examples=40)
@given(requests=REQUESTS)
def test_the_days_sum_up_to_the_window_and_the_window_to_what_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, requests: list[Any]
):
    rows = [
        query(
            number, NOON - back * DAY, agent=agent, latency_ms=ms, error=error, history=history, tools=tools, tokens=n
        )
        for number, (back, agent, ms, error, history, tools, n) in enumerate(requests)
    ]
    inside = [row for row in rows if row.at > NOON - 7 * DAY]
    found = week_of(tmp_path_factory.mktemp("store"), *rows)
    whole, days, types = found["totals"], found["daily"], found["query_types"]
    assert len(days) == 7
    for name, exact in (
        ("queries", len(inside)),
        ("errors", sum(row.error is not None for row in inside)),
        ("tokens", sum(row.tokens or 0 for row in inside)),
        ("history", sum(row.history > 0 for row in inside)),
        ("tools", sum(row.tools > 0 for row in inside)),
    ):
        assert whole[name] == exact == sum(day[name] for day in days)
    timed = [row.latency_ms for row in inside if row.latency_ms is not None]
    assert whole["latency_ms"]["mean"] == (pytest.approx(sum(timed) / len(timed)) if timed else None)
    assert {name: each["queries"] for name, each in types.items()} == {
        name: sum(row.query_type == name for row in inside) for name in ("trained", "tools", "history", "both")
    }
    if inside:
        assert sum(each["share"] for each in types.values()) == pytest.approx(1)
    assert found["before"]["queries"] == len(rows) - len(inside)


def test_a_window_needs_no_row_of_a_single_request(tmp_path: Path):
    path = recorded(
        tmp_path, *(query(n, latency_ms=n + 1.0) for n in range(50)), FeedbackMetric("0", NOON, "starter", 1)
    )
    with reading(path) as db:
        before = traffic.week(db, 7, NOON)
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE query_metrics; DROP TABLE feedback_metrics;")
    with reading(path) as db:
        assert traffic.week(db, 7, NOON) == before
    assert before["totals"]["queries"] == 50


def test_one_model_can_be_asked_for(tmp_path: Path):
    path = recorded(tmp_path, query(1), query(2, agent="other"), query(3, agent="other"))
    with reading(path) as db:
        assert traffic.totals(db, 1, NOON, "other")["queries"] == 2
        assert traffic.totals(db, 1, NOON)["queries"] == 3


def test_a_store_that_is_not_there_reads_as_quiet_days(tmp_path: Path):
    with reading(tmp_path / "none.sqlite") as db:
        found = traffic.week(db, 7, NOON)
    assert [day["queries"] for day in found["daily"]] == [0] * 7
    assert found["totals"]["error_rate"] is found["totals"]["latency_ms"]["p95"] is None
    assert found["satisfaction"]["rate"] is found["satisfaction"]["interval"] is None
    assert {each["state"] for each in targets.compared(Report(), Retrieval(), found)} == {"not measured"}


def test_an_answer_written_anew_is_an_opinion_against_it(tmp_path: Path):
    said = [{"thumb": 1}, {"thumb": 1, "comment": True}, {"thumb": -1}, {"edited": True}, {"comment": True}]
    found = week_of(tmp_path, *(FeedbackMetric(f"{n:024x}", NOON, "starter", **each) for n, each in enumerate(said)))
    opinions = found["satisfaction"]
    assert (opinions["n"], opinions["rate"], opinions["comments"], opinions["edits"]) == (4, 0.5, 2, 1)
    assert opinions["interval"] == wilson(2, 4)
    assert opinions["daily"][-1]["n"] == 4
    assert sum(day["n"] for day in opinions["daily"]) == 4


def test_a_word_is_given_only_for_what_is_more_than_noise(tmp_path: Path):
    def window(end: float, count: int, failed: int, ms: float) -> list[QueryMetric]:
        return [
            query(n, end, latency_ms=ms + n % 7, error="TimeoutError" if n < failed else None) for n in range(count)
        ]

    few = week_of(tmp_path / "few", *window(NOON - 7 * DAY, 20, 1, 900), *window(NOON, 20, 2, 1000))
    assert [few["trends"][name]["word"] for name in ("error_rate", "latency_ms")] == [None, None]
    many = week_of(tmp_path / "many", *window(NOON - 7 * DAY, 800, 160, 900), *window(NOON, 800, 16, 1000))
    errors, latency = (many["trends"][name] for name in ("error_rate", "latency_ms"))
    assert (errors["word"], errors["better"]) == ("fell", True)
    assert (latency["word"], latency["better"]) == ("rose", False)
    assert many["trends"]["queries"]["word"] is many["trends"]["satisfaction"]["word"] is None


def test_a_sure_change_too_small_to_matter_has_no_word(tmp_path: Path):
    rows = [query(n, end, latency_ms=ms) for end, ms in ((NOON - 7 * DAY, 1000), (NOON, 1020)) for n in range(500)]
    latency = week_of(tmp_path, *rows)["trends"]["latency_ms"]
    assert latency["interval"][0] > 0
    assert latency["word"] is None


@pytest.mark.parametrize(
    ("errors", "requests", "state"), [(0, 50, "met"), (4, 50, "unclear"), (40, 500, "missed"), (25, 500, "met")]
)
def test_a_target_is_missed_only_when_it_is_no_chance(tmp_path: Path, errors: int, requests: int, state: str):
    rows = [query(n, error="TimeoutError" if n < errors else None) for n in range(requests)]
    found = {each["name"]: each for each in targets.compared(Report(), Retrieval(), week_of(tmp_path, *rows))}
    assert found["errors"]["state"] == state
    assert bool(found["errors"]["step"]) == (state == "missed")


def test_passages_that_nobody_asks_for_miss_no_target(tmp_path: Path):
    def states(found: dict[str, Any], **asked: int) -> list[str]:
        return [each["state"] for each in targets.compared(Report(), Retrieval(**asked), found)][2:]

    bare = week_of(tmp_path / "bare", *(query(n) for n in range(100)))
    assert states(bare) == ["not in use"] * 3
    assert states(bare, tools=3) == ["missed", "not in use", "missed"]
    used = week_of(tmp_path / "used", *(query(n, history=n % 2) for n in range(100)))
    assert states(used) == ["met", "missed", "not in use"]


@given(some.integers(1, 5000).flatmap(lambda total: some.tuples(some.integers(0, total), some.just(total))))
def test_the_interval_of_a_share_is_wilsons(counts: tuple[int, int]):
    expected = binomtest(*counts).proportion_ci(method="wilson")
    assert wilson(*counts) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(some.integers(0, 40), some.integers(0, 40))
def test_the_interval_of_a_difference_holds_it_and_turns_with_it(first: int, second: int):
    before, now = (first, 40), (second, 40)
    low, high = share_change(before, now, 0.95) or (1.0, -1.0)
    assert low <= (second - first) / 40 <= high
    assert share_change(now, before, 0.95) == pytest.approx((-high, -low))
    assert share_change((0, 0), now, 0.95) is None
