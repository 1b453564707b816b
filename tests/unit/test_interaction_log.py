import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.gateway.interaction_log import InteractionLog
from pipeline.lib import jsonl
from pipeline.lib.errors import DiskError

AT = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def test_closing_writes_everything_that_waits_in_order(tmp_path: Path):
    log = InteractionLog(tmp_path)
    written = [log.put({"at": AT, "number": number}) for number in range(2000)]
    log.close()
    assert all(each.done() and each.exception() is None for each in written)
    assert [record["number"] for record in jsonl.read(tmp_path / "2026-11-20.jsonl")] == list(range(2000))
    assert log.lost == 0


def test_a_row_is_on_the_disk_when_its_future_resolves(tmp_path: Path):
    log = InteractionLog(tmp_path)
    log.put({"at": AT, "number": 1}).result(30)
    assert list(jsonl.read(tmp_path / "2026-11-20.jsonl")) == [{"at": AT, "number": 1}]
    log.close()


@pytest.fixture
def _far_east() -> Iterator[None]:
    """A local time that is fourteen hours ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XXX-14")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_east")
def test_a_row_goes_to_the_file_of_its_utc_day(tmp_path: Path):
    assert datetime.fromtimestamp(0).hour == 14
    midnight = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    log = InteractionLog(tmp_path)
    for at in (midnight - 0.001, midnight):
        log.put({"at": at})
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-20.jsonl", "2026-11-21.jsonl"]
    assert list(jsonl.read(tmp_path / "2026-11-20.jsonl")) == [{"at": midnight - 0.001}]


def test_closing_at_once_writes_nothing(tmp_path: Path):
    InteractionLog(tmp_path / "interactions").close()
    assert not (tmp_path / "interactions").exists()


def test_rows_that_the_disk_refuses_are_counted_and_reported_to_whoever_waits(tmp_path: Path):
    (tmp_path / "file").write_text("")
    log = InteractionLog(tmp_path / "file")
    written = log.put({"at": AT})
    with pytest.raises(DiskError):
        written.result(30)
    assert log.lost == 1
    (tmp_path / "file").unlink()
    log.put({"at": AT}).result(30)
    log.close()


@pytest.mark.parametrize("value", [10**30, "\ud800", {1, 2}])
def test_a_row_that_is_no_json_is_refused_and_hurts_no_other(tmp_path: Path, value: object):
    log = InteractionLog(tmp_path)
    before, bad, after = (log.put({"at": AT, "value": each}) for each in (1, value, 2))
    with pytest.raises(TypeError):
        bad.result(30)
    log.close()
    assert before.exception() is after.exception() is None
    assert [record["value"] for record in jsonl.read(tmp_path / "2026-11-20.jsonl")] == [1, 2]
