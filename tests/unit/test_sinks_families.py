"""What the families say is what the rows say."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from filled_store import DAY, a_week, fill
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pipeline.backends.sinks import families, state
from pipeline.backends.sinks.families_of_nights import DURATIONS
from pipeline.lib.files import write_json
from pipeline.lib.layout import Layout
from pipeline.metrics.retention import expire
from pipeline.metrics.rows import EvolutionMetric, FeedbackMetric, KpiSnapshot, QueryMetric, SystemEvent
from pipeline.metrics.store import reading

NOW = 1.8e9
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

agents = st.sampled_from(["starter", 'of "two"\nlines\\', "größer"])
moments = st.floats(NOW - 400 * DAY, NOW)
maybe = st.none() | st.floats(0, 1)
statuses = st.sampled_from(["trained", "nothing", "failed", "refused", "inconclusive", "deployed", "rolled_back"])
attempts = st.lists(
    st.builds(
        EvolutionMetric,
        agent=agents,
        run=st.uuids().map(str),
        evolution_type=st.sampled_from(["sft", "dpo"]),
        status=statuses,
        started_at=moments,
        seconds=st.floats(0, 10_000),
        generation=st.none() | st.just("one"),
        error=st.none() | st.just("disk"),
        performance_before=maybe,
        performance_after=maybe,
        improvement=maybe,
        loss=maybe,
    ),
    max_size=20,
)
queries = st.lists(
    st.builds(
        QueryMetric,
        interaction_id=st.uuids().map(str),
        at=moments,
        agent=agents,
        latency_ms=st.none() | st.floats(0.5, 100_000),
        tokens=st.none() | st.integers(0, 500),
        error=st.none() | st.just("timeout"),
        history=st.integers(0, 2),
        tools=st.integers(0, 2),
    ),
    max_size=30,
)
feedback = st.lists(
    st.builds(
        FeedbackMetric,
        interaction_id=st.uuids().map(str),
        at=moments,
        agent=agents,
        thumb=st.sampled_from([None, -1, 1]),
        comment=st.booleans(),
        edited=st.booleans(),
        success=st.none() | st.booleans(),
    ),
    max_size=20,
)
snapshots = st.lists(
    st.builds(KpiSnapshot, agent=agents, at=moments, held_out_success=maybe, quality=maybe, rewrite_success_rate=maybe),
    max_size=10,
    unique_by=lambda each: (each.agent, each.at),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def samples(layout: Layout) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(families.exposition(layout).decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            assert sample.timestamp is None
            found[key] = sample.value
    return found


def of(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def layout_of(folder: Path, rows: list[Any]) -> Layout:
    layout = Layout(folder)
    layout.metrics.unlink(missing_ok=True)
    for each in ("-wal", "-shm"):
        layout.metrics.with_name(layout.metrics.name + each).unlink(missing_ok=True)
    fill(layout.metrics, rows)
    return layout


def sql(layout: Layout, query: str) -> list[Any]:
    with reading(layout.metrics) as db:
        return db.execute(query).fetchall()


@settings(max_examples=15)
@given(rows=attempts)
def test_attempts_count_for_each_status_that_they_reached(folder: Path, rows: list[EvolutionMetric]):
    found = samples(layout_of(folder, rows))
    on_the_way = {"rolled_back": {"trained", "deployed"}, "deployed": {"trained"}}
    on_the_way |= {"refused": {"trained"}, "inconclusive": {"trained"}}
    newest = {row.agent: max(each.started_at for each in rows if each.agent == row.agent) for row in rows}
    expected: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        unfinished = row.status == "nothing" and row.started_at == newest[row.agent]
        reached = {row.status, *on_the_way.get(row.status, ())}
        reached |= {"trained"} if row.generation else set()
        reached |= {"failed"} if row.error else set()
        for status in set() if unfinished else reached:
            expected[row.agent, row.evolution_type, status] += 1
    for (agent, kind, status), count in expected.items():
        assert of(found, "evolution_attempts_total", agent_id=agent, evolution_type=kind, status=status) == count
    assert sum(value for key, value in found.items() if key[0] == "evolution_attempts_total") == sum(expected.values())
    for agent, kind in {(row.agent, row.evolution_type) for row in rows}:
        tried = [row for row in rows if (row.agent, row.evolution_type, row.status != "nothing") == (agent, kind, True)]
        assert of(found, "nightschool_attempts_total", agent_id=agent, evolution_type=kind) == len(tried)
    for name, status in (
        ("autogen_training_completed_total", "trained"),
        ("autogen_deployment_success_total", "deployed"),
        ("autogen_rollback_triggered_total", "rolled_back"),
    ):
        assert of(found, name) == sum(count for key, count in expected.items() if key[2] == status)


@settings(max_examples=15)
@given(rows=attempts)
def test_durations_count_the_attempts_that_have_ended(folder: Path, rows: list[EvolutionMetric]):
    found = samples(layout_of(folder, rows))
    newest = {row.agent: max(each.started_at for each in rows if each.agent == row.agent) for row in rows}
    ended = [
        row
        for row in rows
        if row.status != "nothing" and (row.status not in ("trained", "failed") or row.started_at < newest[row.agent])
    ]
    for agent, kind in {(row.agent, row.evolution_type) for row in ended}:
        seconds = [row.seconds for row in ended if (row.agent, row.evolution_type) == (agent, kind)]
        labels = {"agent_id": agent, "evolution_type": kind}
        for bound in DURATIONS:
            within = of(found, "evolution_duration_seconds_bucket", le=str(float(bound)), **labels)
            assert within == sum(each <= bound for each in seconds)
        assert of(found, "evolution_duration_seconds_count", **labels) == len(seconds)
        assert of(found, "evolution_duration_seconds_sum", **labels) == pytest.approx(sum(seconds))
    counted = sum(value for key, value in found.items() if key[0] == "evolution_duration_seconds_count")
    assert counted == len(ended)


@settings(max_examples=15)
@given(asked=queries, said=feedback)
def test_traffic_counters_are_the_sums_of_the_single_rows(
    folder: Path, asked: list[QueryMetric], said: list[FeedbackMetric]
):
    layout = layout_of(folder, [*asked, *said])
    found = samples(layout)
    for agent, kind, number, errors, tokens in sql(
        layout,
        "SELECT agent, query_type, COUNT(*), COUNT(error), COALESCE(SUM(tokens), 0) FROM query_metrics GROUP BY 1, 2",
    ):
        labels = {"agent_id": agent, "query_type": kind}
        assert of(found, "nightschool_queries_total", **labels) == number
        assert of(found, "nightschool_query_errors_total", **labels) == errors
        assert of(found, "nightschool_query_tokens_total", **labels) == tokens
    for agent, number, seconds in sql(
        layout, "SELECT agent, COUNT(latency_ms), SUM(latency_ms) / 1000 FROM query_metrics GROUP BY 1"
    ):
        assert (of(found, "nightschool_query_duration_seconds_count", agent_id=agent) or 0) == number
        if number:
            assert of(found, "nightschool_query_duration_seconds_sum", agent_id=agent) == pytest.approx(seconds)
    for agent, up, down in sql(
        layout, "SELECT agent, SUM(thumb = 1), SUM(thumb = -1) FROM feedback_metrics GROUP BY 1"
    ):
        assert of(found, "nightschool_feedback_total", agent_id=agent, kind="thumbs_up") == (up or 0)
        assert of(found, "nightschool_feedback_total", agent_id=agent, kind="thumbs_down") == (down or 0)


@settings(max_examples=15)
@given(asked=queries)
def test_a_latency_bucket_holds_the_requests_that_took_no_longer(folder: Path, asked: list[QueryMetric]):
    found = samples(layout_of(folder, asked))
    for (name, labels), value in found.items():
        if name == "nightschool_query_duration_seconds_bucket":
            bound, agent = float(dict(labels)["le"]), dict(labels)["agent_id"]
            took = [row.latency_ms / 1000 for row in asked if row.agent == agent and row.latency_ms is not None]
            # The label is rounded to four digits.
            assert sum(each <= bound * 0.999 for each in took) <= value <= sum(each <= bound * 1.001 for each in took)


@settings(max_examples=15)
@given(rows=snapshots)
def test_a_kpi_is_shown_as_it_was_last_measured_and_never_made_up(folder: Path, rows: list[KpiSnapshot]):
    found = samples(layout_of(folder, rows))
    shown = {key for key in found if key[0] == "agent_kpi_current"}
    for row in sorted(rows, key=lambda each: each.at):
        for name in row.measured():
            key = "agent_kpi_current", frozenset({"agent_id": row.agent, "kpi_name": name}.items())
            shown.discard(key)
            newest = max(
                (each for each in rows if each.agent == row.agent and getattr(each, name) is not None),
                key=lambda each: each.at,
            )
            assert found[key] == getattr(newest, name)
    assert not shown


@settings(max_examples=15)
@given(asked=queries, said=feedback, tried=attempts)
def test_no_counter_goes_down_when_details_are_retired(
    folder: Path, asked: list[QueryMetric], said: list[FeedbackMetric], tried: list[EvolutionMetric]
):
    layout = layout_of(folder, [*asked, *said, *tried])
    before = samples(layout)
    fill(layout.metrics, [SystemEvent(NOW, "stage", "train")])
    expire(layout.metrics, 0, NOW + 1)
    assert sql(layout, "SELECT COUNT(*) FROM query_metrics")[0][0] == 0
    after = samples(layout)
    counters = [key for key in before if re.search(r"_(total|bucket|count|sum)$", key[0])]
    assert counters
    assert {key: after.get(key) for key in counters} == {key: before[key] for key in counters}


@pytest.mark.parametrize("ending", ["refused", "inconclusive", "deployed", "rolled_back", "failed"])
@pytest.mark.parametrize("failed_before", [False, True])
def test_no_counter_goes_down_when_more_becomes_known_of_an_attempt(folder: Path, ending: Any, failed_before: bool):
    layout = layout_of(folder, a_week(NOW))
    told = [samples(layout)]
    steps: list[tuple[Any, float]] = [("nothing", 10.0), ("trained", 50.0)]
    steps += [("failed", 70.0), ("trained", 90.0)] if failed_before else []
    error = None
    for status, seconds in [*steps, (ending, 400.0)]:
        generation = None if status == "nothing" else "new"
        error = "unavailable" if status == "failed" else error  # the row keeps it
        row = EvolutionMetric("starter", "new", "sft", status, NOW, seconds, generation=generation, error=error)
        fill(layout.metrics, [row])
        told.append(samples(layout))
    for before, after in pairwise(told):
        for key, value in before.items():
            if re.search(r"_(total|bucket|count|sum)$", key[0]):
                assert after[key] >= value, key


def test_gauges_tell_of_the_last_attempt_that_measured_them(folder: Path):
    found = samples(layout_of(folder, a_week(NOW)))
    assert of(found, "autogen_training_loss") == 0.4
    assert of(found, "evolution_memory_used_mb") == 1500
    assert of(found, "autogen_agent0_rewrite_success_rate") == 0.6
    assert of(found, "autogen_quality_improvement_ratio") == pytest.approx(0.08 / 0.8)
    assert of(found, "evolution_performance_improvement", agent_id="starter") == pytest.approx(0.08)
    assert of(found, "autogen_training_duration_seconds") == 50
    assert of(found, "nightschool_last_progress_timestamp_seconds", agent_id="starter") == NOW - 2 * DAY + 3600
    assert of(found, "nightschool_last_attempt_timestamp_seconds", agent_id="starter") == NOW - DAY + 3600


def test_before_anything_was_deployed_progress_is_counted_from_the_first_attempt(folder: Path):
    rows = [EvolutionMetric("starter", f"r{day}", "sft", "refused", NOW + day * DAY, 60) for day in range(3)]
    found = samples(layout_of(folder, rows))
    assert of(found, "nightschool_last_progress_timestamp_seconds", agent_id="starter") == NOW


def test_each_stage_tells_its_last_run_its_last_success_and_its_exit_code(folder: Path):
    rows = [
        SystemEvent(NOW - 200, "stage", "canary", exit_code=20, seconds=30),
        SystemEvent(NOW - 100, "stage", "canary", exit_code=69, seconds=2),
        SystemEvent(NOW, "server", "canary", exit_code=0),
    ]
    found = samples(layout_of(folder, rows))
    assert of(found, "nightschool_stage_last_run_timestamp_seconds", stage="canary") == NOW - 100
    assert of(found, "nightschool_stage_last_success_timestamp_seconds", stage="canary") == NOW - 200
    assert of(found, "nightschool_stage_last_exit_code", stage="canary") == 69
    assert of(found, "nightschool_stage_last_duration_seconds", stage="canary") == 2


def test_the_last_look_of_the_service_is_told_as_a_run(tmp_path: Path):
    layout = layout_of(tmp_path, [SystemEvent(NOW - 200, "stage", "harvest", exit_code=0)])
    name = "nightschool_stage_last_run_timestamp_seconds"
    assert of(samples(layout), name, stage="look") is None
    for written, told in (({"last_look": NOW}, NOW), ({"last_look": None}, None), ({"last_look": "now"}, None)):
        write_json(layout.service, written)
        found = samples(layout)
        assert (of(found, name, stage="look"), of(found, name, stage="harvest")) == (told, NOW - 200)


def test_without_a_store_the_counters_stand_at_zero(tmp_path: Path):
    found = samples(Layout(tmp_path))
    assert of(found, "autogen_training_completed_total") == 0
    assert of(found, "nightschool_store_readable") == 1
    assert of(found, "autogen_training_loss") is None
    assert not (tmp_path / "logs").exists()


def test_of_a_store_that_cannot_be_read_this_is_what_is_told(tmp_path: Path):
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    layout.metrics.write_bytes(b"no database, " * 1000)
    found = samples(layout)
    assert of(found, "nightschool_store_readable") == 0
    assert of(found, "nightschool_store_size_bytes") == 13_000
    assert of(found, "autogen_training_completed_total") is None


def test_sinks_tell_when_they_were_last_reached(tmp_path: Path):
    layout = Layout(tmp_path)
    state.remember(layout, "influx", last_success=NOW, failing=False)
    state.remember(layout, "influx", failing=True)
    found = samples(layout)
    assert of(found, "nightschool_sink_last_success_timestamp_seconds", sink="influx") == NOW
    assert of(found, "nightschool_sink_failing", sink="influx") == 1


def test_a_damaged_memory_of_the_sinks_is_no_reason_to_stop(tmp_path: Path):
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    layout.sinks.write_text('{"sinks": {"influx": {"positions": 7}}}')
    assert state.read(layout) == {}
    layout.sinks.write_bytes(b"\0\0")
    assert of(samples(layout), "nightschool_store_readable") == 1
