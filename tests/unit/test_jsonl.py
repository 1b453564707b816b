import multiprocessing
import resource
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.lib import jsonl
from pipeline.lib.errors import BadRecordError, DiskError, UnavailableError
from pipeline.lib.problems import Problems

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.one_of(TEXTS, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.lists(TEXTS, max_size=2))
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=3), max_size=5)
NEW = [{"new": 1}, {"new": "ü\0\n"}]


def numbered(records: list[dict]) -> list[dict]:
    return [{**record, "number": number} for number, record in enumerate(records)]


def check_survival(damaged: bytes, survivors: list[dict]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(damaged)
        assert list(jsonl.read(path)) == survivors
        jsonl.append(path, NEW)
        assert list(jsonl.read(path)) == survivors + NEW
        assert path.read_bytes() == b"".join(map(jsonl.encode, survivors + NEW))


@settings(max_examples=60)
@given(RECORDS, st.data())
def test_a_file_cut_at_any_byte_keeps_every_whole_record_and_takes_new_ones(records: list[dict], data: st.DataObject):
    records = numbered(records)
    content = b"".join(map(jsonl.encode, records))
    cut = data.draw(st.integers(0, len(content)))
    # A record that lacks nothing but its newline is whole.
    ends = [len(b"".join(map(jsonl.encode, records[: count + 1]))) - 1 for count in range(len(records))]
    check_survival(content[:cut], [record for record, end in zip(records, ends, strict=True) if end <= cut])


@settings(max_examples=60)
@given(RECORDS, st.data(), st.integers(1, 9000))
def test_a_tail_overwritten_with_zeros_costs_only_the_records_it_touches(
    records: list[dict], data: st.DataObject, zeros: int
):
    records = numbered(records)
    content = b"".join(map(jsonl.encode, records))
    cut = data.draw(st.integers(0, len(content)))
    ends = [len(b"".join(map(jsonl.encode, records[: count + 1]))) for count in range(len(records))]
    tail = b"\0" * max(zeros, len(content) - cut)
    check_survival(content[:cut] + tail, [record for record, end in zip(records, ends, strict=True) if end <= cut])


def test_a_torn_line_longer_than_a_read_block_is_cut_off(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(jsonl.encode({"kept": "x" * 200_000}) + b'{"torn": "' + b"y" * 200_000)
    jsonl.append(path, [{"new": 1}])
    assert [list(record) for record in jsonl.read(path)] == [["kept"], ["new"]]


@pytest.mark.parametrize("bad", [b"{not json}", b"[1, 2]", b'"text"', b'{"a": "\xff"}', b"{} {}"])
def test_a_bad_line_in_the_middle_is_reported_with_file_and_number(tmp_path: Path, bad: bytes):
    path = tmp_path / "log.jsonl"
    content = b'{"a": 1}\n\n' + bad + b'\n{"b": 2}\n'
    path.write_bytes(content)
    records = jsonl.read(path)
    assert next(records) == {"a": 1}
    with pytest.raises(BadRecordError, match="line 3") as caught:
        next(records)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_bad_last_line_that_is_complete_is_reported_not_cut_off(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\nnonsense\n')
    with pytest.raises(BadRecordError, match="line 2"):
        list(jsonl.read(path))
    jsonl.append(path, [{"b": 2}])
    assert path.read_bytes() == b'{"a": 1}\nnonsense\n{"b":2}\n'


def test_blank_lines_are_counted_but_yield_nothing(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'\n  \n{"a": 1}\r\n\n{"b": 2}')
    assert list(jsonl.read_numbered(path)) == [(3, {"a": 1}), (5, {"b": 2})]


def test_zeros_that_got_a_newline_hide_nothing_behind_them_and_are_cut_off_at_the_end(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a":1}\n\0\0\0\n{"b":2}\n\0\0\n')
    assert list(jsonl.read_numbered(path)) == [(1, {"a": 1}), (3, {"b": 2})]
    jsonl.append(path, [{"c": 3}])
    assert path.read_bytes() == b'{"a":1}\n\0\0\0\n{"b":2}\n{"c":3}\n'


def test_an_absent_file_has_no_records(tmp_path: Path):
    assert list(jsonl.read(tmp_path / "absent.jsonl")) == []


def test_write_replaces_the_whole_file_and_counts(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    assert jsonl.write(path, [{"a": 1}, {"a": 2}, {"a": 3}]) == 3
    assert jsonl.write(path, []) == 0
    assert path.read_bytes() == b""


def test_an_append_that_the_file_system_refuses_is_a_disk_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot append"):
        jsonl.append(tmp_path / "file" / "log.jsonl", [{"a": 1}])


def append_many(path: Path, writer: int, count: int) -> None:
    for number in range(count):
        jsonl.append(path, [{"writer": writer, "number": number, "padding": "x" * (number * 997 % 20_000)}])


def test_concurrent_appends_from_several_processes_interleave_whole_lines(tmp_path: Path):
    path, writers, count = tmp_path / "log.jsonl", 3, 60
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=append_many, args=(path, writer, count)) for writer in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * writers
    records = list(jsonl.read(path))
    for writer in range(writers):
        assert [record["number"] for record in records if record["writer"] == writer] == list(range(count))
    assert len(records) == writers * count


@pytest.mark.parametrize("torn", [b"", b'{"to'])
def test_a_row_of_an_open_appender_survives_an_append_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bytes
):
    path, repaired_length = tmp_path / "log.jsonl", jsonl._repaired_length
    appender = jsonl.Appender(path)
    appender.append({"number": 1})
    with path.open("ab") as file:
        file.write(torn)
    writers: list[threading.Thread] = []

    def interrupted(path: Path) -> int:
        length = repaired_length(path)
        writers.append(threading.Thread(target=appender.append, args=({"number": 2},)))
        writers[0].start()
        writers[0].join(0.2)  # for ever, if it waits
        return length

    monkeypatch.setattr(jsonl, "_repaired_length", interrupted)
    jsonl.append(path, [{"number": 3}])
    writers[0].join()
    appender.close()
    assert sorted(record["number"] for record in jsonl.read(path)) == [1, 2, 3]


def test_an_open_appender_starts_behind_what_a_crash_has_left(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"number":1}\n{"numb')
    appender = jsonl.Appender(path)
    for number in (2, 3):
        appender.append({"number": number})
    appender.close()
    assert path.read_bytes() == b'{"number":1}\n{"number":2}\n{"number":3}\n'


@pytest.mark.parametrize("removed", [True, False])
def test_an_open_appender_follows_the_name_when_its_file_is_moved_or_removed(tmp_path: Path, removed: bool):
    path = tmp_path / "log.jsonl"
    appender = jsonl.Appender(path)
    appender.append({"number": 1})
    if removed:
        path.unlink()
    else:
        path.rename(tmp_path / "log.jsonl.1")
    appender.append({"number": 2})
    appender.close()
    assert list(jsonl.read(path)) == [{"number": 2}]


def test_what_a_full_disk_took_of_a_record_is_cut_off_before_the_next(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    appender = jsonl.Appender(path)
    appender.append({"number": 1})
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4, most))
    try:
        for _ in range(2):
            with pytest.raises(DiskError, match=r"log\.jsonl"):
                appender.append({"number": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    appender.append({"number": 3})
    appender.close()
    assert list(jsonl.read(path)) == [{"number": 1}, {"number": 3}]


BAD = st.sampled_from([b"{", b"[1]", b"\xff\xfe", b'{"a": nan}', b"7", b'{"half": "']).map(lambda line: line + b"\n")
EMPTY = st.sampled_from([b"\n", b"  \n", b"\0\0\0\n"])


@settings(max_examples=80)
@given(RECORDS, st.data(), st.integers(1, 40))
def test_a_tolerant_reader_gives_every_record_and_counts_every_bad_line(
    records: list[dict], data: st.DataObject, block: int
):
    lines: list[bytes] = []
    bad: list[int] = []
    for record in numbered(records):
        for other in data.draw(st.lists(st.one_of(BAD, EMPTY), max_size=2)):
            lines.append(other)
            if other.strip(b" \n\0"):
                bad.append(len(lines))
        lines.append(jsonl.encode(record))
    problems = Problems()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "_BLOCK", block)  # so that lines are cut at every place
        path = Path(folder) / "log.jsonl"
        path.write_bytes(b"".join(lines))
        assert list(jsonl.read_tolerant(path, problems)) == numbered(records)
    assert problems.count == len(bad)
    places = {place for each in problems.to_json() for place in each["places"]}
    assert places <= {f"log.jsonl line {number}" for number in bad}


def test_a_row_of_17_megabytes_is_skipped_and_the_lines_behind_it_keep_their_numbers(tmp_path: Path):
    path, problems = tmp_path / "log.jsonl", Problems()
    path.write_bytes(b'{"a":1}\n{"b":"' + b"x" * 17_000_000 + b'"}\n{"c":\n{"d":4}\n{"half":')
    assert list(jsonl.read_tolerant(path, problems)) == [{"a": 1}, {"d": 4}]
    assert {each["reason"]: each["places"] for each in problems.to_json()} == {
        "a line of more than 16 MB": ["log.jsonl line 2"],
        "not JSON (unexpected end of data)": ["log.jsonl line 3", "log.jsonl line 5"],
    }


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Path):
    with pytest.raises(UnavailableError, match="cannot read"):
        list(jsonl.read_tolerant(tmp_path / "absent.jsonl", Problems()))
