import logging
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_rows import AT, asked, assert_summed_up, identities, process, wait_for

from pipeline.lib.errors import BadRecordError
from pipeline.metrics.rows import (
    EvolutionMetric,
    FeedbackMetric,
    KpiSnapshot,
    QueryMetric,
    ResourceSample,
    Row,
    Strategy,
    SystemEvent,
)
from pipeline.metrics.schema import MIGRATIONS
from pipeline.metrics.store import MetricsStore, reading

TABLES = (
    "query_metrics",
    "feedback_metrics",
    "evolution_metrics",
    "kpi_snapshots",
    "evolution_strategies",
    "system_events",
    "resource_samples",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "metrics.sqlite"


def numbered(*numbers: int) -> list[str]:
    return [f"{number:024x}" for number in numbers]


def test_a_full_buffer_is_written_without_anybody_asking(path: Path):
    with MetricsStore(path, rows=3) as store:
        for number in range(3):
            store.add(asked(number))
        wait_for(lambda: path.exists() and identities(path) == numbered(0, 1, 2))


def test_a_row_does_not_wait_longer_than_it_may(path: Path):
    with MetricsStore(path, seconds=0.05) as store:
        store.add(asked(1))
        wait_for(lambda: path.exists() and identities(path) == numbered(1))


def test_without_rows_there_is_no_file(path: Path):
    with MetricsStore(path) as store:
        assert store.flush()
    assert not path.parent.exists()


def test_closing_twice_and_recording_afterwards_hurt_nobody(path: Path):
    store = MetricsStore(path)
    store.add(asked(1))
    store.close()
    store.add(asked(2))
    store.close()
    assert identities(path) == numbered(1)
    assert store.lost == 1


def test_what_people_stopped_or_asked_wrongly_is_no_failed_request(path: Path):
    with MetricsStore(path) as store:
        for number, error in enumerate(["client_gone", "invalid_request_error", "overloaded_error", "error", None]):
            store.add(asked(number, error=error))
    with reading(path) as db:
        assert tuple(db.execute("SELECT queries, errors FROM daily_summaries").fetchone()) == (5, 2)
        assert_summed_up(db)


def test_every_kind_of_row_has_its_table(path: Path):
    rows: list[Row] = [
        asked(1, history=1, tools=2, error="engine_error", confidence=0.5),
        FeedbackMetric("1", AT, "starter", thumb=1, comment=True),
        EvolutionMetric("starter", "20261120T020000Z", "sft", "trained", AT, 60.0),
        KpiSnapshot("starter", AT, satisfaction_rate=0.5),
        Strategy("starter", "arithmetic", "twice", 3, 2, AT),
        SystemEvent(AT, "stage", "train", exit_code=0),
        ResourceSample(AT, "20261120T020000Z", "train", cpu_percent=50.0),
    ]
    with MetricsStore(path) as store:
        for row in rows:
            store.add(row)
    with reading(path) as db:
        for table, row in zip(TABLES, rows, strict=True):
            (found,) = db.execute(f"SELECT * FROM {table}")
            assert {name: found[name] for name in row.__dataclass_fields__} == {
                name: getattr(row, name) for name in row.__dataclass_fields__
            }
        assert db.execute("SELECT query_type FROM query_metrics").fetchone()["query_type"] == "both"
        assert_summed_up(db)


Text = st.sampled_from(["starter", "other", "Ünï\n'; --"])
Number = st.none() | st.floats(0, 1e6)
Moment = st.floats(AT - 200_000, AT + 200_000)  # in any order: the clock may be set back
Queries = st.builds(
    QueryMetric,
    st.uuids().map(str),
    Moment,
    Text,
    st.none() | Text,
    st.none() | st.floats(),
    Number,
    st.none() | st.integers(0, 10**6),
    st.none() | st.floats(0, 1),
    st.none() | st.booleans(),
    st.none() | Text,
    st.integers(0, 2),
    st.integers(0, 2),
)
Said = st.builds(
    FeedbackMetric,
    st.uuids().map(str),
    Moment,
    Text,
    st.sampled_from([None, -1, 1]),
    st.booleans(),
    st.booleans(),
    st.none() | st.booleans(),
)


@settings(max_examples=25)
@given(st.lists(Queries | Said | st.just("flush") | st.just("another")))
def test_the_daily_tables_are_the_sums_of_the_rows_however_these_came(
    tmp_path_factory: pytest.TempPathFactory, steps: list[QueryMetric | FeedbackMetric | str]
):
    path = tmp_path_factory.mktemp("store") / "metrics.sqlite"
    store, beside = MetricsStore(path), MetricsStore(path)
    for step in steps:
        if step == "flush":
            assert store.flush()
        elif step == "another":
            store, beside = beside, store
        else:
            store.add(step)
    store.close()
    beside.close()
    added = sorted(step.interaction_id for step in steps if not isinstance(step, str))
    with reading(path) as db:
        union = "SELECT interaction_id FROM query_metrics UNION ALL SELECT interaction_id FROM feedback_metrics"
        assert sorted(row[0] for row in db.execute(union)) == added
        assert_summed_up(db)


def test_what_an_earlier_stage_knew_of_an_evolution_is_not_erased(path: Path):
    first = EvolutionMetric("starter", "run", "sft", "trained", AT, 60.0, samples=40, loss=0.5)
    with MetricsStore(path) as store:
        store.add(first)
        store.flush()
        store.add(EvolutionMetric("starter", "run", "sft", "deployed", AT, 90.0, performance_after=0.75))
        store.add(EvolutionMetric("other", "run", "sft", "failed", AT, 1.0))
    with reading(path) as db:
        (row,) = db.execute("SELECT * FROM evolution_metrics WHERE agent = 'starter'")
        assert (row["status"], row["seconds"], row["samples"], row["loss"]) == ("deployed", 90.0, 40, 0.5)
        assert (row["performance_after"], row["performance_before"]) == (0.75, None)


def test_of_the_totals_of_a_strategy_the_last_stay(path: Path):
    with MetricsStore(path) as store:
        for attempts in (1, 2):
            store.add(Strategy("starter", "arithmetic", "twice", attempts, 1, AT))
    with reading(path) as db:
        assert [row["attempts"] for row in db.execute("SELECT * FROM evolution_strategies")] == [2]


@pytest.mark.parametrize(
    "bad",
    [
        asked(2, adapter="\ud800"),
        asked(2, tokens=10**30),
        asked(2, tokens="many"),
        asked(2, at=float("nan")),
        asked(2, at=1e300),
        asked(2, success="perhaps"),
        FeedbackMetric("2", AT, "starter", thumb=5),
        "no row at all",
    ],
)
def test_a_row_that_makes_no_sense_is_dropped_alone_and_said(path: Path, bad: Row, caplog: pytest.LogCaptureFixture):
    with MetricsStore(path) as store:
        for row in (asked(1), bad, asked(3)):
            store.add(row)
        assert store.flush()
        assert store.lost == 1
    assert identities(path) == numbered(1, 3)
    assert "make no sense" in caplog.text


def test_what_is_not_a_number_was_not_measured(path: Path):
    with MetricsStore(path) as store:
        store.add(asked(1, latency_ms=float("inf"), confidence=float("nan")))
        store.add(asked(2, latency_ms=0.0))
    with reading(path) as db:
        assert [row[0] for row in db.execute("SELECT latency_ms FROM query_metrics")] == [None, 0.0]
        assert_summed_up(db)


def test_four_processes_that_begin_together_lose_and_double_nothing(path: Path):
    work = (
        "with MetricsStore(path) as store:\n"
        "    [store.add(asked(int(sys.argv[2]) + number)) for number in range(2000)]\n"
        "assert store.lost == 0"
    )
    for started in [process(path, work, 10_000 * number) for number in range(4)]:
        _, complaint = started.communicate(timeout=60)
        assert (started.returncode, complaint) == (0, "")
    everything = (10_000 * each + number for each in range(4) for number in range(2000))
    assert sorted(identities(path)) == numbered(*everything)


def test_what_was_flushed_survives_a_kill(path: Path):
    work = (
        "store = MetricsStore(path)\n[store.add(asked(number)) for number in range(250)]\n"
        "print(store.flush(), flush=True)\n[store.add(asked(1000 + number)) for number in range(50)]\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    said, _ = process(path, work).communicate(timeout=60)
    assert said == "True\n"
    assert identities(path) == numbered(*range(250))


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("raise RuntimeError", 1),
        ("sys.exit(3)", 3),
        ("signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT)", -2),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM)", 4),
        ("if os.fork() == 0: sys.exit()\nos.wait()", 0),
    ],
    ids=["the end", "an error", "an exit", "an interrupt", "a signal", "a fork"],
)
def test_a_process_that_ends_writes_what_waits_once(path: Path, end: str, code: int):
    started = process(path, f"store = MetricsStore(path)\nstore.add(asked(1))\n{end}")
    started.communicate(timeout=60)
    assert started.returncode == code
    assert identities(path) == numbered(1)


def test_rows_wait_for_a_full_disk_and_are_written_once_when_it_has_room(path: Path):
    work = (
        "import resource\nstore = MetricsStore(path)\nstore.add(asked(0)); store.flush()\n"
        "most = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40_000, most[1]))\n"
        "[store.add(asked(number)) for number in range(1, 2001)]\nprint(store.flush(), store.flush())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, most)\nprint(store.flush(), store.lost)\n"
    )
    said, complaint = process(path, work).communicate(timeout=60)
    assert said == "False False\nTrue 0\n"
    assert complaint.count("cannot write") == 1
    assert complaint.count("is written again; 0 rows were lost") == 1
    assert identities(path) == numbered(*range(2001))


def test_more_rows_than_memory_keeps_are_counted(path: Path, caplog: pytest.LogCaptureFixture):
    path.parent.write_text("a file where the folder should be")
    store = MetricsStore(path, seconds=60)
    for number in range(150):
        store.add(asked(number))
    wait_for(lambda: "cannot write" in caplog.text)
    for number in range(150, 10_250):
        store.add(asked(number))
    assert store.lost == 250
    path.parent.unlink()
    assert store.flush()
    store.close()
    assert identities(path) == numbered(*range(10_000))
    assert caplog.text.count("cannot write") == 1
    assert "250 rows of metrics were not recorded" in caplog.text


def test_another_process_that_holds_the_file_long_stops_nobody(path: Path):
    with MetricsStore(path) as store:
        store.add(asked(0))
        store.flush()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for number in range(1, 1001):
            store.add(asked(number))
        other.execute("ROLLBACK")
        other.close()
    assert identities(path) == numbered(*range(1001))


def test_a_corrupt_file_is_kept_aside_and_a_new_one_begun(path: Path, caplog: pytest.LogCaptureFixture):
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    with MetricsStore(path) as store:
        store.add(asked(1))
    assert identities(path) == numbered(1)
    (aside,) = path.parent.glob("metrics.sqlite.corrupt-*Z")
    assert aside.read_bytes() == b"no database " * 1000
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert aside.name in record.getMessage()


def test_all_who_have_a_file_open_that_breaks_go_on_in_the_same_new_one(path: Path):
    stores = [MetricsStore(path), MetricsStore(path)]
    for number, store in enumerate(stores):
        store.add(asked(number))
        store.flush()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200_000)
    for number, store in enumerate(stores, start=2):
        store.add(asked(number))
        assert store.flush()
        store.close()
    assert sorted(identities(path)) == numbered(2, 3)
    assert len(list(path.parent.glob("metrics.sqlite.corrupt-*Z"))) == 1


def test_a_file_that_somebody_removes_is_begun_anew(path: Path):
    with MetricsStore(path) as store:
        store.add(asked(1))
        store.flush()
        for each in path.parent.glob("metrics.sqlite*"):
            each.unlink()
        store.add(asked(2))
    assert identities(path) == numbered(2)


def test_a_newer_file_is_left_as_it_is(path: Path, caplog: pytest.LogCaptureFixture):
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE query_metrics (everything)")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    before = path.read_bytes()
    with MetricsStore(path, rows=1) as store:
        store.add(asked(1))
        assert not store.flush()
        store.add(asked(2))
        assert store.lost == 2
    assert path.read_bytes() == before
    assert caplog.text.count("metrics are not recorded") == 1
    assert "use the newer Nightschool" in caplog.text
    with pytest.raises(BadRecordError, match="this Nightschool knows"), reading(path):
        pass


def test_a_file_that_another_process_brings_up_to_date_is_no_longer_written(path: Path):
    with MetricsStore(path) as store:
        store.add(asked(1))
        store.flush()
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        db.close()
        store.add(asked(2))
        assert not store.flush()


def test_a_migration_that_was_cut_off_is_played_again(path: Path):
    path.parent.mkdir()
    path.touch()
    with reading(path) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert not db.execute("SELECT * FROM query_metrics").fetchall()


def test_a_file_that_is_not_there_reads_as_an_empty_store(path: Path):
    with reading(path) as db:
        assert all(not db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES)
    assert not path.parent.exists()


def test_readers_change_nothing(path: Path):
    with MetricsStore(path) as store:
        store.add(asked(1))
    with reading(path) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM query_metrics")
    assert identities(path) == numbered(1)


def test_a_corrupt_file_is_an_error_for_readers(path: Path):
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(BadRecordError, match="is corrupt") as caught, reading(path):
        pass
    assert "rebuild" in caught.value.hint


def test_a_file_that_cannot_be_opened_is_an_error_with_its_name(path: Path):
    path.mkdir(parents=True)
    with pytest.raises(BadRecordError, match=f"cannot read {path}"), reading(path):
        pass


def test_readers_find_what_was_committed_while_the_writer_lives(path: Path):
    store = MetricsStore(path)
    store.add(asked(1))
    store.flush()
    with reading(path) as db:
        assert len(db.execute("SELECT * FROM query_metrics").fetchall()) == 1
        store.add(replace(asked(2)))
        store.flush()
        assert len(db.execute("SELECT * FROM query_metrics").fetchall()) == 2
    store.close()
