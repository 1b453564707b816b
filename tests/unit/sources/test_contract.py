import json
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign import ASKED, DATABASES, DAY, EVER, FILES, RATED, SAMPLES, database_of, lines, litellm_rows, read, write

from pipeline.backends.sources import sqlite
from pipeline.backends.sources.choice import KINDS
from pipeline.backends.sources.interface import Source
from pipeline.backends.sources.litellm_log import LiteLlmLog
from pipeline.backends.sources.llm_log import LlmLog
from pipeline.backends.sources.open_webui import OpenWebUi
from pipeline.backends.sources.otlp import Otlp
from pipeline.lib.errors import BadRecordError, BusyError, UnavailableError
from pipeline.lib.records import Interaction, content_id

REAL: dict[str, Callable[[], Source]] = {
    "llm 0.31": lambda: LlmLog(SAMPLES / "llm_0.31_logs.db"),
    "llm 0.36": lambda: LlmLog(SAMPLES / "llm_0.36_logs.db"),
    "open-webui": lambda: OpenWebUi(SAMPLES / "openwebui_0.12.4_webui.db"),
    "litellm": lambda: LiteLlmLog(SAMPLES / "litellm_standard_logging_payload.jsonl"),
    "otlp": lambda: Otlp(SAMPLES / "otlp_genai_latest.jsonl"),
}
EVERY = [*FILES, *DATABASES]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_kind_is_tried_here():
    assert set(EVERY) | {"openai-jsonl"} == set(KINDS)


@pytest.mark.parametrize("name", REAL)
def test_rows_of_real_samples_are_interactions_with_stable_unique_ids_and_reading_leaves_no_trace(name: str):
    before = snapshot(SAMPLES)
    rows, problems = read(REAL[name]())
    again, _ = read(REAL[name]())
    assert rows and rows == again
    assert problems.count == 0
    found = [Interaction.model_validate(row) for row in rows]
    assert len({each.id for each in found}) == len(found)
    assert {each.source for each in found} == {REAL[name]().name}
    assert snapshot(SAMPLES) == before


@pytest.mark.parametrize("kind", EVERY)
def test_rows_of_a_window_are_those_that_were_asked_in_it_and_leave_no_trace(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    before = snapshot(tmp_path)
    everything, problems = read(source)
    assert problems.count == 0
    first, _ = read(source, ASKED[0], ASKED[1])
    assert [row["messages"][-1]["content"] for row in first] == ["question 0"]
    assert first[0] in everything
    assert read(source, ASKED[0] + 1, ASKED[1])[0] == []
    by_day = [row["id"] for day in range(3) for row in read(source, ASKED[day], ASKED[day] + DAY)[0]]
    assert set(by_day) == {row["id"] for row in everything if row["at"] < RATED}
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "litellm"])
def test_what_was_said_days_later_is_found_when_it_was_said(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    (asked,) = read(source, ASKED[1], ASKED[2])[0]
    late = [row for row in read(source, RATED, RATED + 1)[0] if row["at"] < RATED]
    assert late == [asked]
    feedback = Interaction.model_validate(asked).feedback
    assert feedback and feedback.at == RATED
    assert asked["success"] is False


@pytest.mark.parametrize("kind", EVERY)
def test_an_absent_place_is_unavailable(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(UnavailableError, match=r"no file|cannot read"):
        read(source)


DAMAGES: dict[str, tuple[bytes, str]] = {
    "half-written": (b'{"id": "half', "half-written last line"),
    "not UTF-8": (b'{"id": "\xff\xfe"}\n', "not UTF-8"),
    "not JSON": (b"{oops}\n", "not JSON"),
    "not an object": (b"17\n", "not a JSON object"),
    "too long": (b'{"id": "' + b"x" * 17_000_000 + b'"}\n', "a row of more than 16 MB"),
    "foreign": (b'{"hello": "world"}\n', ""),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_line_is_counted_and_named_and_the_rest_goes_on(tmp_path: Path, kind: str, damage: str):
    source = write(kind, tmp_path)
    path = tmp_path / f"{kind}.jsonl"
    whole, _ = read(source)
    bad, reason = DAMAGES[damage]
    count = len(path.read_bytes().splitlines())
    place = 1 if bad.endswith(b"\n") else count + 1
    path.write_bytes(bad + path.read_bytes() if bad.endswith(b"\n") else path.read_bytes() + bad)
    rows, problems = read(source)
    assert [row["id"] for row in rows] == [row["id"] for row in whole]
    (problem,) = problems.to_json()
    assert (problem["count"], problem["places"]) == (1, [f"{kind}.jsonl line {place}"])
    assert problem["reason"] == reason or not reason


def test_a_line_of_50_mb_is_never_held_in_memory(tmp_path: Path):
    source = write("litellm", tmp_path)
    path = tmp_path / "litellm.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id": "' + b"x" * 50_000_000 + b'"}\n')
    tracemalloc.start()
    rows, problems = read(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(rows), problems.count) == (3, 1)
    assert peak < 40_000_000


@pytest.mark.parametrize("kind", FILES)
def test_zeros_at_the_end_and_blank_lines_are_nobodys_problem(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    path = tmp_path / f"{kind}.jsonl"
    whole, _ = read(source)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\n \n" + b"\0" * 4096)
    rows, problems = read(source)
    assert ([row["id"] for row in rows], problems.count) == ([row["id"] for row in whole], 0)


@pytest.mark.parametrize("kind", FILES)
def test_what_python_and_javascript_write_that_is_no_json_is_mended(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    path = tmp_path / f"{kind}.jsonl"
    whole, _ = read(source)
    text = path.read_text().replace("answer 2", "answer \\ud83d")
    path.write_text("".join(line.replace("{", '{"score_stats": NaN, ', 1) + "\n" for line in text.splitlines()))
    rows, problems = read(source)
    assert problems.count == 0
    assert [row["answer"] for row in rows] == [row["answer"].replace("answer 2", "answer ?") for row in whole]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("envelope", [None, "data"])
@pytest.mark.parametrize("kind", FILES)
def test_a_list_and_an_object_around_one_are_read_like_lines(
    tmp_path: Path, kind: str, envelope: str | None, indent: int | None
):
    source = write(kind, tmp_path)
    path = tmp_path / f"{kind}.jsonl"
    whole, _ = read(source)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(json.dumps({envelope: records, "meta": {}} if envelope else records, indent=indent))
    rows, problems = read(source)
    assert ([row["id"] for row in rows], problems.count) == ([row["id"] for row in whole], 0)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_torn_list_gives_the_rows_before_the_tear(tmp_path: Path, kind: str, indent: int | None):
    source = write(kind, tmp_path)
    path = tmp_path / f"{kind}.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(json.dumps(records, indent=indent)[:-15])
    expected = {row["id"] for row in read(type(source)(lines(tmp_path / "whole.jsonl", records[:-1])))[0]}
    rows, problems = read(source)
    assert {row["id"] for row in rows} == expected
    assert [each["reason"] for each in problems.to_json()] == ["half-written last line"]


def test_behind_a_damaged_row_of_a_list_the_next_one_is_found_and_the_line_is_named(tmp_path: Path):
    source = write("litellm", tmp_path)
    path = tmp_path / "litellm.jsonl"
    text = json.dumps([json.loads(line) for line in path.read_text().splitlines()], indent=2)
    number = next(number for number, line in enumerate(text.splitlines(), start=1) if '"call-1"' in line)
    for broken, reason in ((b'"call-1', "not JSON"), (b'"call-1\xff",', "not UTF-8")):
        path.write_bytes(text.encode().replace(b'"call-1",', broken))
        rows, problems = read(source)
        assert [row["answer"] for row in rows] == ["answer 0", "answer 2"]
        assert problems.to_json() == [{"reason": reason, "count": 1, "places": [f"litellm.jsonl line {number - 1}"]}]


def test_a_batch_of_more_than_16_mb_on_one_line_is_read_row_by_row_and_so_are_the_lines_behind_it(tmp_path: Path):
    padding = {"padding": "x" * 6_000_000}
    batches = [[{**record, **padding} for record in litellm_rows()], [{**litellm_rows()[0], "id": "another"}]]
    rows, problems = read(LiteLlmLog(lines(tmp_path / "x.jsonl", batches)))
    assert ([row["answer"] for row in rows], problems.count) == (["answer 0", "answer 1", "answer 2", "answer 0"], 0)


@pytest.mark.parametrize("kind", FILES)
def test_rows_one_behind_the_other_over_many_lines_are_read_like_lines(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    path = tmp_path / f"{kind}.jsonl"
    whole, _ = read(source)
    path.write_text("\n".join(json.dumps(json.loads(line), indent=4) for line in path.read_text().splitlines()))
    rows, problems = read(source)
    assert ([row["id"] for row in rows], problems.count) == ([row["id"] for row in whole], 0)


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "otlp"])
def test_of_an_id_that_is_there_twice_the_last_counts(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    path = tmp_path / f"{kind}.jsonl"
    text = path.read_text()
    path.write_text(text + "".join(line.replace("answer 2", "a better one") for line in text.splitlines(True)[-2:]))
    rows, problems = read(source)
    assert {row["answer"] for row in rows} == {"answer 0", "answer 1", "a better one"}
    assert len(rows) == 3
    (problem,) = problems.to_json()
    assert problem["reason"] == "id seen before: the last one counts"


@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one", b"SQLite format 3\0" * 100])
def test_a_file_that_is_no_database_is_a_bad_record(tmp_path: Path, kind: str, content: bytes):
    source = write(kind, tmp_path)
    database_of(source).write_bytes(content)
    with pytest.raises(BadRecordError, match=r"not an SQLite database|damaged"):
        read(source)


@pytest.mark.parametrize("name", [name for name in REAL if name.startswith(("llm", "open"))])
def test_a_truncated_database_is_a_bad_record(tmp_path: Path, name: str):
    source = REAL[name]()
    copied = type(source)(tmp_path / "cut.db")
    raw = database_of(source).read_bytes()
    (tmp_path / "cut.db").write_bytes(raw[: len(raw) // 3])
    with pytest.raises(BadRecordError, match=r"cut\.db"):
        read(copied)


@pytest.mark.parametrize("kind", DATABASES)
def test_a_foreign_database_names_the_table_that_is_missing(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    database_of(source).unlink()
    with sqlite3.connect(database_of(source)) as database:
        database.execute("CREATE TABLE cookies (id)")
    database.close()
    with pytest.raises(BadRecordError, match=r"no table (turns or responses|chat|collections)") as caught:
        read(source)
    assert "newer schema" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "statement", "missing"),
    [
        ("llm", "ALTER TABLE turns RENAME COLUMN datetime_utc TO moment", "column turns.datetime_utc"),
        ("llm", "ALTER TABLE parts RENAME COLUMN text TO words", "column parts.text"),
        ("llm", "ALTER TABLE threads RENAME TO strands", "table threads"),
        ("open-webui", "ALTER TABLE chat RENAME COLUMN chat TO body", "column chat.chat"),
        ("chroma", "ALTER TABLE embedding_metadata RENAME COLUMN key TO name", "column embedding_metadata.key"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, kind: str, statement: str, missing: str):
    source = write(kind, tmp_path)
    with sqlite3.connect(database_of(source)) as database:
        database.execute(statement)
    database.close()
    with pytest.raises(BadRecordError, match=f"no {missing}"):
        read(source)


@pytest.mark.parametrize("kind", DATABASES)
def test_a_locked_database_is_busy(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    source = write(kind, tmp_path)
    monkeypatch.setattr(sqlite, "PATIENCE", 0.05)
    writer = sqlite3.connect(database_of(source))
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BusyError, match="is locked"):
        read(source)
    writer.rollback()
    writer.close()
    assert len(read(source)[0]) >= 3


LIVE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = wal")
database.execute("PRAGMA wal_autocheckpoint = 0")
database.execute("CREATE TABLE mark (x)")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_in_use_and_one_left_behind_are_read_without_touching_the_files_beside_it(tmp_path: Path, kind: str):
    source = write(kind, tmp_path)
    path = database_of(source)
    expected = read(source)[0]
    program = subprocess.Popen(
        [sys.executable, "-c", LIVE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout and program.stdin
    assert program.stdout.readline() == "open\n"
    shared = path.with_name(f"{path.name}-shm")

    def reads_without_a_trace() -> None:
        before = snapshot(tmp_path)
        assert read(source)[0] == expected
        assert snapshot(tmp_path) == before

    assert shared.exists()
    reads_without_a_trace()
    program.kill()
    program.communicate()
    reads_without_a_trace()  # after a crash: the log is still full, nobody is there
    shared.unlink()
    reads_without_a_trace()  # somebody copied the database and its log
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    database.close()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    reads_without_a_trace()  # closed properly


def test_what_is_only_in_the_log_of_a_running_program_is_read(tmp_path: Path):
    source = write("llm", tmp_path)
    writer = sqlite3.connect(tmp_path / "logs.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("UPDATE parts SET text = 'just now' WHERE message_hash = 'a0'")
    assert read(source, ASKED[0], ASKED[1])[0][0]["answer"] == "just now"
    writer.close()


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_that_was_left_in_mid_write_is_read_as_it_was_before(tmp_path: Path, kind: str):
    (tmp_path / "live").mkdir()
    (tmp_path / "left").mkdir()
    path = database_of(write(kind, tmp_path / "live"))
    source = write(kind, tmp_path / "left")
    expected = read(source)[0]
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN")
    table = {"llm": "parts", "open-webui": "chat", "chroma": "embedding_metadata"}[kind]
    writer.execute(f"DELETE FROM {table}")
    writer.execute("CREATE TABLE filler (x)")
    writer.executemany("INSERT INTO filler VALUES (?)", [("x" * 4000,)] * 200)
    for name in (path.name, f"{path.name}-journal"):
        shutil.copyfile(tmp_path / "live" / name, tmp_path / "left" / name)
    writer.rollback()
    writer.close()
    before = snapshot(tmp_path / "left")
    assert read(source)[0] == expected
    assert snapshot(tmp_path / "left") == before


def test_a_database_that_is_written_to_meanwhile_is_busy(tmp_path: Path):
    source = write("open-webui", tmp_path)
    path = tmp_path / "webui.db"
    with sqlite3.connect(path) as writer:
        writer.execute("PRAGMA journal_mode = wal")
    writer.close()
    with pytest.raises(BusyError, match="written to while it was being read"), sqlite.opened(path):
        path.write_bytes(path.read_bytes() + b"\0")
    assert source.name == "open-webui:webui.db"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2026-11-20T11:17:05Z", 1_795_173_425.0),
        ("2026-11-20 11:17:05+00:00", 1_795_173_425.0),
        ("2026-11-20T11:17:05", 1_795_173_425.0),
        ("2026-11-20T13:17:05+02:00", 1_795_173_425.0),
        (1_795_173_425, 1_795_173_425.0),
        ("1795173425.5", 1_795_173_425.5),
        (1_795_173_425_000, 1_795_173_425.0),
        (1_795_173_425_000_000, 1_795_173_425.0),
        (1_795_173_425_000_000_000, 1_795_173_425.0),
        ("9999-01-01", 253_370_764_800.0),
    ],
)
def test_times_are_read_in_every_unit_and_zone(tmp_path: Path, written: Any, seconds: float):
    record = {"id": "x", "startTime": written, "messages": "q", "response": "a"}
    ((row,), problems) = read(LiteLlmLog(lines(tmp_path / "x.jsonl", [record])))
    assert (row["at"], problems.count) == (seconds, 0)


@pytest.mark.parametrize("written", ["noon", None, True, "nan", float("1e400"), [], "0000-00-00"])
def test_what_is_no_time_is_a_problem_of_its_row_only(tmp_path: Path, written: Any):
    good = {"id": "x", "startTime": 5, "messages": "q", "response": "a"}
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in ({**good, "id": "y", "startTime": written}, good)))
    rows, problems = read(LiteLlmLog(path), -EVER, EVER)
    assert [row["id"] for row in rows] == [content_id("litellm", "x")]
    assert problems.count == 1
