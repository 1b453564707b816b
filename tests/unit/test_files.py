import multiprocessing
import subprocess
import sys
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from pipeline.lib import files
from pipeline.lib.errors import BadRecordError, BusyError, DiskError
from pipeline.lib.layout import Layout, checked_run, new_run


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_publishing_leaves_the_old_file_and_nothing_else_when_the_block_raises(tmp_path: Path):
    path = tmp_path / "manifest.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.publishing(path) as file:
        file.write(b"new and half")
        file.flush()
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["manifest.json"]


def test_publishing_shows_nothing_under_the_name_before_the_block_ends(tmp_path: Path):
    path = tmp_path / "deep" / "manifest.json"
    with files.publishing(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["manifest.json"]


def test_a_failing_disk_is_a_disk_error_that_names_the_file_and_keeps_the_old_one(tmp_path: Path):
    path = tmp_path / "manifest.json"
    path.write_text("old")
    with pytest.raises(DiskError, match="No space left") as caught, files.publishing(path) as file:
        file.write(b"x")
        raise OSError(28, "No space left on device")
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot write"):
        files.write_json(tmp_path / "file" / "manifest.json", {})


def test_manifests_come_back_as_written_with_a_schema_number(tmp_path: Path):
    files.write_json(tmp_path / "a.json", {"name": "ü", "list": [1, None]})
    assert files.read_json(tmp_path / "a.json") == {"schema": 1, "name": "ü", "list": [1, None]}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"\0" * 100])
def test_an_unreadable_manifest_is_a_bad_record_that_names_the_file(tmp_path: Path, content: bytes):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BadRecordError, match=r"a\.json"):
        files.read_json(path)


def test_a_missing_manifest_is_a_bad_record(tmp_path: Path):
    with pytest.raises(BadRecordError, match="No such file"):
        files.read_json(tmp_path / "a.json")


def read_link_until(link: Path, started: Event, stop: Event, report: Any) -> None:
    reads, failures = 0, 0
    seen = set()
    while not stop.is_set():
        reads += 1
        try:
            seen.add(link.readlink().name)
        except OSError:
            failures += 1
        started.set()
    report.put((reads, failures, seen))


def test_a_link_swapped_ten_thousand_times_is_never_missing_for_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # The swap itself is under test; 10,000 real fsyncs of the folder would only measure the disk.
    monkeypatch.setattr(files, "sync_folder", lambda _: None)
    link = tmp_path / "current"
    files.point(link, "a")
    spawn = multiprocessing.get_context("spawn")
    started, stop, report = spawn.Event(), spawn.Event(), spawn.Queue()
    reader = spawn.Process(target=read_link_until, args=(link, started, stop, report))
    reader.start()
    assert started.wait(60)
    for number in range(10_000):
        files.point(link, "ab"[number % 2])
    stop.set()
    reads, failures, seen = report.get(timeout=60)
    reader.join(60)
    assert failures == 0
    assert reads > 100
    assert seen == {"a", "b"}
    assert names(tmp_path) == ["current"]


def test_a_link_that_cannot_be_moved_is_a_disk_error_that_names_both_ends(tmp_path: Path):
    (tmp_path / "current").mkdir()
    with pytest.raises(DiskError, match=r"cannot point .*current at a"):
        files.point(tmp_path / "current", "a")


HOLD = """
import sys
from pathlib import Path
from pipeline.lib.files import locked
with locked(Path(sys.argv[1]), "train"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_held_by_another_process_is_busy_until_that_process_dies(tmp_path: Path):
    path = tmp_path / "logs" / "train.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="train is already running"), files.locked(path, "train"):
            pass
        holder.kill()
        holder.wait()
        with files.locked(path, "train"):
            pass


def test_a_lock_is_free_again_after_the_block_even_when_it_raised(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), files.locked(tmp_path / "lock", "x"):
        raise ZeroDivisionError
    with files.locked(tmp_path / "lock", "x"), pytest.raises(BusyError), files.locked(tmp_path / "lock", "x"):
        pass


def test_a_folder_whose_filling_fails_is_never_seen(tmp_path: Path):
    def fill(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        files.publish_folder(tmp_path / "20261120T020000Z", fill)
    assert names(tmp_path) == []


def test_a_folder_is_published_whole(tmp_path: Path):
    folder = tmp_path / "data" / "20261120T020000Z"
    files.publish_folder(folder, lambda temporary: (temporary / "a").write_text("x") and None)
    assert (folder / "a").read_text() == "x"
    assert names(folder.parent) == [folder.name]


def test_too_little_disk_is_said_with_both_numbers(tmp_path: Path):
    files.require_disk(tmp_path, 0)
    with pytest.raises(DiskError, match=r"GB free in .* 1e\+09 GB needed"):
        files.require_disk(tmp_path, 1e9)


def test_two_runs_within_a_second_get_different_ids(tmp_path: Path):
    layout = Layout(tmp_path)
    now = datetime(2026, 11, 20, 2, tzinfo=UTC)
    first = new_run(layout, now)
    assert first == "20261120T020000Z"
    layout.generation(first).mkdir(parents=True)
    layout.dataset(f"{first}-2").mkdir(parents=True)
    second = new_run(layout, now)
    assert second == f"{first}-3"
    assert checked_run(second) == second
