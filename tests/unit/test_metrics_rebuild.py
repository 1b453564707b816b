import threading
from pathlib import Path
from typing import Any

import pytest
from metric_rows import AT, asked, assert_summed_up, identities

from pipeline.lib import jsonl
from pipeline.metrics import logged
from pipeline.metrics.rebuild import rebuild
from pipeline.metrics.retention import expire
from pipeline.metrics.rows import EvolutionMetric, FeedbackMetric, KpiSnapshot, ResourceSample, SystemEvent
from pipeline.metrics.store import MetricsStore, reading

DAY = 86_400
NOW = AT + 10 * DAY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.sqlite"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "interactions"


def interaction(number: int, at: float, **known: Any) -> dict[str, Any]:
    known = {"model": "starter", "latency_ms": 12.5, "tokens": 4, "retrieval": {"history": 1, "tools": 0}, **known}
    return {"kind": "interaction", "id": f"{number:024x}", "source": "gateway", "at": at, **known}


def said(number: int, at: float, **known: Any) -> dict[str, Any]:
    return {"kind": "feedback", "interaction_id": f"{number:024x}", "at": at, **known}


def made(path: Path, logs: Path, days: float = 90) -> dict[str, Any]:
    return rebuild(path, logs, agent="starter", days=days, now=NOW)


def rows(path: Path, question: str) -> list[tuple[Any, ...]]:
    with reading(path) as db:
        return [tuple(row) for row in db.execute(question)]


def test_requests_and_feedback_come_back_from_the_logs(path: Path, logs: Path):
    lines = [
        interaction(1, AT),
        interaction(2, AT + 1, model="other", error="out of memory"),
        said(2, AT + 2, thumb=-1),
    ]
    jsonl.append(logs / "2025-11-20.jsonl", lines)
    assert made(path, logs) == {"queries": 2, "feedback": 1, "problems": []}
    with reading(path) as db:
        assert_summed_up(db)
    assert rows(path, "SELECT interaction_id, agent, error, history, query_type FROM query_metrics") == [
        (f"{1:024x}", "starter", None, 1, "history"),
        (f"{2:024x}", "other", "error", 1, "history"),
    ]
    assert rows(path, "SELECT agent, thumb FROM feedback_metrics") == [("other", -1)]
    assert rows(path, "SELECT count(*) FROM query_metrics WHERE error LIKE '%memory%'") == [(0,)]


def test_lines_that_cannot_be_read_are_named_and_the_rest_is(path: Path, logs: Path):
    jsonl.append(
        logs / "2025-11-20.jsonl", [interaction(1, AT), {"id": "no moment"}, {**interaction(2, AT), "at": "soon"}]
    )
    with (logs / "2025-11-20.jsonl").open("ab") as file:
        file.write(b'{"kind": "interaction", "id": "torn')
    found = made(path, logs)
    assert sum(problem["count"] for problem in found["problems"]) == 3
    assert identities(path) == [f"{1:024x}"]


def test_what_the_logs_do_not_tell_stays(path: Path, logs: Path):
    with MetricsStore(path) as store:
        store.add(asked(1, at=AT - 3 * DAY))
        store.add(asked(2, at=AT))  # a row that no log has: the logs are right
        for row in (EvolutionMetric("starter", "run", "sft", "trained", AT, 60.0), KpiSnapshot("starter", AT)):
            store.add(row)
    jsonl.append(logs / "2025-11-20.jsonl", [interaction(3, AT)])
    made(path, logs)
    assert identities(path) == [f"{3:024x}", f"{1:024x}"]
    assert rows(path, "SELECT run FROM evolution_metrics UNION ALL SELECT agent FROM kpi_snapshots") == [
        ("run",),
        ("starter",),
    ]


def test_requests_beyond_the_retention_are_in_the_daily_tables_only(path: Path, logs: Path):
    jsonl.append(logs / "2025-11-20.jsonl", [interaction(1, AT), said(1, AT, thumb=1)])
    jsonl.append(logs / "2025-11-29.jsonl", [interaction(2, NOW - DAY)])
    made(path, logs, days=5)
    assert rows(path, "SELECT interaction_id FROM query_metrics") == [(f"{2:024x}",)]
    assert rows(path, "SELECT sum(queries), (SELECT sum(thumbs_up) FROM daily_feedback) FROM daily_summaries") == [
        (2, 1)
    ]


def test_a_store_in_use_goes_on_with_the_new_file_and_doubles_nothing(path: Path, logs: Path):
    store, fresh = MetricsStore(path), MetricsStore(path)
    everything = [interaction(number, AT + number) for number in range(6)]
    for line in everything[:2]:
        store.add(logged.query(line))
    store.flush()
    jsonl.append(logs / "2025-11-20.jsonl", everything[:4])
    store.add(logged.query(everything[2]))  # wait in memory while the log is read
    fresh.add(logged.query(everything[3]))
    made(path, logs)
    jsonl.append(logs / "2025-11-20.jsonl", everything[4:])
    store.add(logged.query(everything[4]))
    fresh.add(logged.query(everything[5]))
    store.close()
    fresh.close()
    assert sorted(identities(path)) == [line["id"] for line in everything]


def test_a_corrupt_store_is_made_anew_and_kept(path: Path, logs: Path):
    path.write_bytes(b"no database " * 1000)
    jsonl.append(logs / "2025-11-20.jsonl", [interaction(1, AT)])
    made(path, logs)
    assert identities(path) == [f"{1:024x}"]
    assert len(list(path.parent.glob("metrics.sqlite.corrupt-*Z"))) == 1


def test_a_rebuild_leaves_nothing_but_the_store(path: Path, logs: Path):
    made(path, logs)
    locks = {"metrics.sqlite.lock", "metrics.sqlite.rebuild.lock"}
    assert {each.name for each in path.parent.iterdir()} == {"metrics.sqlite", *locks}
    assert identities(path) == []


def test_old_rows_go_and_their_sums_stay(path: Path):
    with MetricsStore(path) as store:
        for number in range(5000):
            store.add(asked(number, at=AT + number * DAY / 500))
        store.add(FeedbackMetric("1", AT, "starter", thumb=1))
        store.add(SystemEvent(AT, "stage", "train"))
        store.add(ResourceSample(AT, "run", "train"))
        store.add(KpiSnapshot("starter", AT))
    assert expire(path, 5, NOW) == 2500 + 3
    assert rows(path, "SELECT count(*), min(at) FROM query_metrics") == [(2500, NOW - 5 * DAY)]
    assert rows(path, "SELECT sum(queries) FROM daily_summaries") == [(5000,)]
    assert rows(path, "SELECT count(*) FROM kpi_snapshots") == [(1,)]
    assert expire(path, 5, NOW) == 0


def test_the_file_becomes_smaller_when_most_of_it_is_empty(path: Path):
    with MetricsStore(path) as store:
        for number in range(5000):
            store.add(asked(number))
    before = path.stat().st_size
    expire(path, 1, NOW)
    assert path.stat().st_size < before / 2


def test_a_clock_that_was_set_back_removes_nothing(path: Path):
    with MetricsStore(path) as store:
        store.add(asked(1))
    assert expire(path, 90, 0.0) == 0
    assert identities(path) == [f"{1:024x}"]


def test_where_nothing_was_recorded_nothing_is_made(path: Path):
    assert expire(path, 90, NOW) == 0
    assert not path.exists()


def test_a_store_that_cannot_be_thinned_out_is_a_warning(path: Path, caplog: pytest.LogCaptureFixture):
    path.write_bytes(b"no database " * 1000)
    assert expire(path, 90, NOW) == 0
    assert "are kept" in caplog.text


def test_others_write_while_old_rows_go(path: Path):
    with MetricsStore(path) as store:
        for number in range(20_000):
            store.add(asked(number))
        store.flush()
        deleting = threading.Thread(target=expire, args=(path, 1, NOW))
        deleting.start()
        written = 0
        while deleting.is_alive():
            store.add(asked(written, at=NOW))
            assert store.flush()
            written += 1
        deleting.join()
    assert rows(path, "SELECT count(*) FROM query_metrics") == [(written,)]
    assert written > 1
