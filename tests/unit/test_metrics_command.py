import csv
import io
import json
import re
import shlex
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import cli
from pipeline.lib.errors import UsageError
from pipeline.lib.text import printable
from pipeline.metrics.query import select
from pipeline.metrics.rows import EvolutionMetric, KpiSnapshot, ResourceSample, Strategy, SystemEvent
from pipeline.metrics.store import MetricsStore, reading

HOSTILE = "\x1b[2Jred\x1b[31m\n[bold]x[/bold][/]\x9b1m\u202e"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "metrics.sqlite"
    now = time.time()
    with MetricsStore(path) as store:
        for number, status in enumerate(("deployed", "refused", "nothing")):
            run, at = f"2026112{number}T020000Z", now - (3 - number) * 86_400
            known = {"generation": run, "performance_before": 0.5, "performance_after": 0.75, "improvement": 0.25}
            measured = known if status == "deployed" else {}
            store.add(EvolutionMetric("starter", run, "sft", status, at, 600.0, **measured))
        store.add(EvolutionMetric("other", "20261120T020000Z", "dpo", "failed", now, 60.0, error="disk"))
        store.add(KpiSnapshot("starter", now, "20261120T020000Z", held_out_success=0.75))
        store.add(ResourceSample(now, "20261120T020000Z", "train", 150.0, 900.0, None, 1.0, 2.0))
        store.add(SystemEvent(now, "stage", HOSTILE, message=HOSTILE))
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr("pipeline.lib.logs.configure", lambda folder, verbose: None)  # pytest looks after the logger

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["nightschool", "--home", str(tmp_path), "metrics", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


ALL = (["history"], ["top"], ["success-rate"], ["trends"], ["kpis"], ["query", "SELECT * FROM evolution_metrics"])


@pytest.mark.parametrize("command", ALL, ids=lambda command: command[0])
def test_an_empty_store_is_a_quiet_ending_with_a_hint(run: Run, command: list[str], tmp_path: Path):
    code, out, err = run(*command)
    assert (code, out) == (10, "")
    assert err.startswith("nothing recorded yet\nhint: ")
    assert not (tmp_path / "logs" / "metrics.sqlite").exists()


@pytest.mark.parametrize("command", ALL, ids=lambda command: command[0])
@pytest.mark.usefixtures("store")
def test_every_question_is_answered_in_words_in_json_and_in_csv(run: Run, command: list[str]):
    code, words, _ = run(*command)
    assert code == 0
    assert len(words.splitlines()) >= 2
    code, out, _ = run(*command, "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer
    code, out, _ = run(*command, "--csv")
    lines = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert len(lines) == (len(answer) if isinstance(answer, list) else 1)
    if isinstance(answer, list):
        assert list(lines[0]) == list(answer[0])
    assert run(*command, "--csv", "--json")[0] == 64


@pytest.mark.usefixtures("store")
def test_models_days_and_limits_narrow_a_question(run: Run):
    def found(*arguments: str) -> Any:
        return json.loads(run(*arguments, "--json")[1])

    assert len(found("history")) == 4
    assert len(found("history", "--agent", "starter", "--limit", "2")) == 2
    assert found("success-rate", "--agent", "starter")["rate"] == 0.5
    assert found("success-rate", "--days", "0.5")["statuses"] == {"failed": 1}
    assert run("history", "--agent", "nobody")[0] == 10


@pytest.mark.usefixtures("store")
def test_the_success_rate_comes_with_its_interval(run: Run):
    words = run("success-rate", "--agent", "starter")[1]
    assert words.startswith("1 of 2 attempts were deployed and stayed: 50% [9%, 91%]")


@pytest.mark.usefixtures("store")
def test_kpis_are_told_with_their_targets_and_what_is_due(run: Run):
    words = run("kpis")[1]
    for part in ("held_out_success", "75.0%", "≥ 85.0%", "overall performance of starter", "0.75", "another night: no"):
        assert part in words


@pytest.mark.usefixtures("store")
def test_what_a_question_finds_cannot_draw_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch):
    question = ["query", 'SELECT name, message AS "a\x1b[1mb" FROM system_events']
    words = run(*question)[1]
    assert not set(words) & {"\x1b", "\x9b", "\u202e"}
    assert r"\x1b[2Jred" in words
    assert "[bold]x[/bold][/]" in words
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shown = run(*question, "--csv")[1]
    assert not set(shown) & {"\x1b", "\x9b", "\u202e"}
    monkeypatch.undo()


@pytest.mark.usefixtures("store")
def test_csv_for_a_file_holds_what_there_is(run: Run):
    (line,) = csv.DictReader(io.StringIO(run("query", "SELECT message FROM system_events", "--csv")[1], newline=""))
    assert line["message"] == HOSTILE


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM evolution_metrics",
        "UPDATE evolution_metrics SET status = 'deployed'",
        "DROP TABLE evolution_metrics",
        "CREATE TEMP TABLE x (y)",
        "PRAGMA user_version = 99",
        "VACUUM INTO 'copy.sqlite'",
        "ATTACH 'file:other.sqlite?mode=rwc' AS other",
        "BEGIN IMMEDIATE",
        "WITH x AS (SELECT 1) INSERT INTO system_events (at, kind, name, severity) SELECT 1, 'a', 'b', 'info' FROM x",
    ],
)
def test_nothing_but_select_is_allowed(run: Run, store: Path, statement: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(store.parent)
    before = sqlite3.connect(store).execute("SELECT COUNT(*) FROM evolution_metrics").fetchone()
    files = {path.name for path in store.parent.glob("*.sqlite")}
    code, out, err = run("query", statement)
    assert (code, out) == (64, "")
    assert "only SELECT may be asked" in err
    assert sqlite3.connect(store).execute("SELECT COUNT(*) FROM evolution_metrics").fetchone() == before
    assert {path.name for path in store.parent.glob("*.sqlite")} == files


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELEC 1", 'SQLite: near "SELEC": syntax error'),
        ("SELECT nonsense FROM evolution_metrics", "SQLite: no such column: nonsense"),
        ("SELECT 1; SELECT 2", "SQLite: You can only execute one statement at a time"),
        ("", "no statement"),
        ("/* nothing */", "no statement"),
        ("SELECT '\0'", "SQLite:"),
        ("SELECT randomblob(1000000000)", "SQLite: string or blob too big"),
        ("SELECT load_extension('x')", "SQLite: not authorized"),
    ],
)
def test_bad_sql_is_one_clear_error(run: Run, statement: str, said: str):
    code, out, err = run("query", statement)
    assert (code, out) == (64, "")
    assert said in err
    assert len(err.splitlines()) == 2


@pytest.mark.usefixtures("store")
def test_a_question_without_end_is_given_up(run: Run):
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"
    begun = time.monotonic()
    code, _, err = run("query", endless, "--seconds", "0.3")
    assert code == 64
    assert "no answer within 0.3 seconds" in err
    assert time.monotonic() - begun < 10


@pytest.mark.usefixtures("store")
def test_only_so_many_rows_are_shown_and_the_rest_is_mentioned(run: Run):
    code, out, err = run("query", "SELECT run FROM evolution_metrics", "--limit", "2", "--json")
    assert (code, len(json.loads(out))) == (0, 2)
    assert err == "only the first 2 rows; --limit asks for more\n"
    assert run("query", "SELECT run FROM evolution_metrics", "--limit", "4")[2] == ""


def test_columns_of_the_same_name_bytes_and_infinity_survive_as_json(store: Path):
    with reading(store) as db:
        rows, more = select(db, "SELECT 1, 1, x'00ff' AS b, 9e999 AS i, CAST(x'ff' AS TEXT) AS t", 5, 5.0)
    assert rows == [{"1": 1, "1:2": 1, "b": "00ff", "i": "inf", "t": "�"}]
    assert not more


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(max_size=60))
def test_no_text_is_more_than_a_question_that_fails(store: Path, statement: str):
    with reading(store) as db:
        try:
            select(db, statement, 5, 1.0)
        except UsageError as error:
            assert str(error)


@given(st.text())
def test_a_printable_text_has_one_line_and_obeys_nobody(text: str):
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    assert text != shown or text.isprintable()


@pytest.mark.parametrize("command", ["history", "top", "success-rate", "trends", "kpis", "query", "rebuild"])
def test_the_help_of_every_command_has_an_example(run: Run, command: str):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example: nightschool metrics {command}" in out


def test_a_rebuild_of_an_empty_home_makes_an_empty_store(run: Run, tmp_path: Path):
    code, out, _ = run("rebuild", "--json")
    assert code == 0
    assert json.loads(out)["nights"] == 0
    assert (tmp_path / "logs" / "metrics.sqlite").is_file()
    assert run("history")[0] == 10


def documented() -> list[list[str]]:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("nightschool metrics ")]
    return [shlex.split(re.split(" {2,}", line)[0])[2:] for line in lines]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("command", documented(), ids=" ".join)
def test_the_commands_of_the_documentation_work(run: Run, command: list[str], tmp_path: Path):
    write = MetricsStore(tmp_path / "logs" / "metrics.sqlite")
    write.add(Strategy("starter", "p", "temperature 1, top-p 0.9", 2, 1, 0.0))
    write.close()
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    assert out
