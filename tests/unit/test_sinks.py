"""Sinks that fail, sinks that keep their secrets, and the form of what is sent.

InfluxDB 2 is the one that has no real part here: a small HTTP server looks at what it would get.
"""

import asyncio
import http.server
import json
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filled_store import a_week, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backends.sinks import families, influx, points, scrape, state
from pipeline.backends.sinks.interface import SinkError
from pipeline.backends.sinks.pushgateway import Pushgateway
from pipeline.export_metrics import export_metrics
from pipeline.lib.config import Settings, load
from pipeline.lib.errors import ConfigurationError, ExitCode, NothingToDo, UnavailableError, UsageError
from pipeline.lib.layout import Layout
from pipeline.metrics.rows import EvolutionMetric, FeedbackMetric, KpiSnapshot, QueryMetric, SystemEvent
from pipeline.metrics.store import reading

SECRET = "T0S3CR3T"


@dataclass
class Receiver:
    """A real HTTP server that answers from a list (status, body), then 204, and keeps what it was sent."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            told.asked.append((self.command, self.path, dict(self.headers), body))
            status, answer = told.answers.pop(0) if told.answers else (204, "")
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def do_PUT(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def home(folder: Path, **sinks: str) -> Settings:
    fill(Layout(folder).metrics, a_week())
    return load(folder, {f"sinks.{key}": value for key, value in sinks.items()})


def second(folder: Path, url: str) -> Settings:
    return home(folder, influx_url=url, influx_org="o", influx_bucket="b c", influx_token=SECRET)


def test_influx_2_gets_line_protocol_with_token_organization_and_bucket(tmp_path: Path, receiver: Receiver):
    result = export_metrics(second(tmp_path, receiver.url), None, False)
    sent = [line for asked in receiver.asked for line in asked[3].splitlines()]
    assert result["influx"]["sent"] == len(sent)
    for command, path, headers, _ in receiver.asked:
        assert (command, path) == ("POST", "/api/v2/write?org=o&bucket=b+c&precision=ns")
        assert headers["Authorization"] == f"Token {SECRET}"
    assert len([line for line in sent if line.startswith("query_metrics,agent=starter,query_type=")]) == 280
    assert any(line.startswith("evolution_metrics,agent=starter,run=r0 cpu_percent=180") for line in sent)


def test_an_export_goes_on_where_the_last_one_failed(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(influx, "BATCH", 100)
    chosen = second(tmp_path, receiver.url)
    receiver.answers = [(204, ""), (503, "")]
    with pytest.raises(UnavailableError, match="HTTP 503"):
        export_metrics(chosen, None, False)
    with reading(chosen.layout.metrics) as db:
        rows = db.execute("SELECT id, at FROM query_metrics ORDER BY id").fetchall()
    assert state.read(chosen.layout)["influx"].positions["query_metrics"].id == rows[99]["id"]
    export_metrics(chosen, None, False)
    taken = receiver.asked[:1] + receiver.asked[2:]
    lines = [line for asked in taken for line in asked[3].splitlines() if line.startswith("query_metrics")]
    assert len(lines) == len(set(lines)) == len(rows)


def test_another_database_gets_everything(tmp_path: Path, receiver: Receiver):
    first = home(tmp_path, influx_url=receiver.url, influx_database="one")
    sent = export_metrics(first, None, False)["influx"]["sent"]
    other = load(tmp_path, {"sinks.influx_url": receiver.url, "sinks.influx_database": "two"})
    assert export_metrics(other, None, False)["influx"]["sent"] == sent
    assert receiver.asked[-1][1] == "/write?db=two&precision=ns"


def test_a_store_that_was_made_anew_is_sent_again(tmp_path: Path, receiver: Receiver):
    chosen = home(tmp_path, influx_url=receiver.url, influx_database="one")
    export_metrics(chosen, None, False)
    for path in chosen.layout.logs.glob("metrics.sqlite*"):
        path.unlink()
    again = [QueryMetric(f"again-{number}", 1.8e9 + number, "starter") for number in range(500)]
    fill(chosen.layout.metrics, again)
    assert export_metrics(chosen, None, False)["influx"]["sent"] == 500


@pytest.mark.parametrize("status", [401, 500])
def test_what_a_server_says_is_told_without_the_token(tmp_path: Path, receiver: Receiver, status: int):
    receiver.answers = [(status, json.dumps({"message": f"token {SECRET}\nis not mine"}))]
    with pytest.raises(UnavailableError) as caught:
        export_metrics(second(tmp_path, receiver.url), None, False)
    assert f"HTTP {status} token … is not mine" in str(caught.value)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__} {caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    [f"http://night:{SECRET}@127.0.0.1:1", f"http://[::{SECRET}", f"nonsense://{SECRET}", f"http://a..b/{SECRET}"],
)
def test_nobody_listening_or_no_url_is_said_without_it(tmp_path: Path, url: str):
    chosen = home(tmp_path, influx_url=url, influx_database="one")
    pushed = Pushgateway(chosen.layout, url, 5)
    for send in (influx.Influx(chosen.layout, chosen.sinks).send, pushed.send):
        with pytest.raises(SinkError) as caught:
            send()
        error = caught.value
        assert SECRET not in f"{error} {error!r} {error.hint} {error.__cause__}"
        assert error.__suppress_context__


def test_a_pushgateway_that_speaks_no_http_is_a_sink_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as door:

        def greet() -> None:
            caller, _ = door.accept()
            with caller:
                caller.sendall(b"SSH-2.0-OpenSSH_9.7\r\n")
                caller.shutdown(socket.SHUT_WR)
                while caller.recv(65_536):
                    pass

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        with pytest.raises(SinkError, match="BadStatusLine"):
            Pushgateway(home(tmp_path).layout, url, 5).send()
        thread.join(10)


def test_one_sink_that_fails_is_a_warning_and_the_others_go_on(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger("nightschool"), "propagate", True)
    chosen = home(
        tmp_path,
        textfile="out/night.prom",
        pushgateway=receiver.url,
        influx_url="http://127.0.0.1:1",
        influx_database="one",
    )
    result = export_metrics(chosen, None, False)
    assert list(result) == ["influx", "pushgateway", "textfile"]
    assert result["influx"] == {"failed": "InfluxDB was not reached: ConnectionError"}
    assert result["pushgateway"]["sent"] > 20
    assert "influx: InfluxDB was not reached" in caplog.text
    text = (tmp_path / "out" / "night.prom").read_text()
    assert 'nightschool_sink_failing{sink="influx"} 1.0' in text
    assert 'nightschool_sink_failing{sink="textfile"} 0.0' in text
    assert 'nightschool_sink_last_success_timestamp_seconds{sink="influx"} 0.0' in text


def test_when_all_fail_the_exit_code_says_so_and_when_there_is_none_it_is_quiet(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError) as caught:
        export_metrics(home(tmp_path, textfile="file/night.prom"), None, False)
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    with pytest.raises(NothingToDo):
        export_metrics(load(tmp_path), None, False)


def test_a_textfile_can_be_asked_for_without_being_configured(tmp_path: Path, receiver: Receiver):
    chosen = home(tmp_path, pushgateway=receiver.url)
    result = export_metrics(chosen, "now.prom", False)
    assert list(result) == ["textfile"]
    assert (tmp_path / "now.prom").stat().st_mode & 0o777 == 0o644
    assert not receiver.asked
    with pytest.raises(UsageError, match=r"end in \.prom"):
        export_metrics(chosen, "now.txt", False)


def test_a_dry_run_sends_nothing(tmp_path: Path, receiver: Receiver):
    chosen = home(tmp_path, textfile="night.prom", pushgateway=receiver.url)
    assert export_metrics(chosen, None, True) == {"dry_run": True, "sinks": ["pushgateway", "textfile"]}
    assert not receiver.asked
    assert not (tmp_path / "night.prom").exists()
    assert not chosen.layout.sinks.exists()


def test_a_store_that_cannot_be_read_leaves_the_sinks_their_health(tmp_path: Path, receiver: Receiver):
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    layout.metrics.write_bytes(b"no database, " * 1000)
    flags = {"sinks.textfile": "night.prom", "sinks.influx_url": receiver.url, "sinks.influx_database": "one"}
    result = export_metrics(load(tmp_path, flags), None, False)
    assert "cannot be read" in result["influx"]["failed"]
    assert "nightschool_store_readable 0.0" in (tmp_path / "night.prom").read_text()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"textfile": "metrics.txt"}, "end in .prom"),
        ({"influx_url": "http://x"}, "needs influx_database"),
        ({"influx_url": "http://x", "influx_org": "o"}, "influx_bucket"),
        ({"timeout": "0"}, "greater than 0"),
    ],
)
def test_settings_that_make_no_sense_are_explained(tmp_path: Path, flags: dict[str, str], words: str):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, {f"sinks.{key}": value for key, value in flags.items()})
    assert words in str(caught.value)


def test_a_token_is_shown_by_nothing(tmp_path: Path):
    chosen = load(tmp_path, {"sinks.influx_token": SECRET})
    assert SECRET not in f"{chosen!r} {chosen.model_dump_json()}"
    (tmp_path / "nightschool.toml").write_text(f"[sinks]\ninflux_token = ['{SECRET}']\n")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert SECRET not in str(caught.value)


texts = st.text(max_size=20)


@settings(max_examples=40)
@given(agent=texts, message=texts, at=st.floats(1e9, 4e9))
def test_a_row_is_one_line_whatever_is_written_in_it(agent: str, message: str, at: float):
    with sqlite3.connect(":memory:") as db:
        db.row_factory = sqlite3.Row
        values = (1, at, "stage", agent, "info", message)
        statement = "SELECT ? AS id, ? AS at, ? AS kind, ? AS name, ? AS severity, ? AS message, 7 AS exit_code"
        row = db.execute(statement, values).fetchone()
    db.close()
    (line,) = points.lines(points.APPENDED[3], [row])
    assert len(line.split("\n")) == 1
    assert line.startswith("system_events,kind=stage,")
    assert abs(int(line.rpartition(" ")[2]) - at * 1e9) < 2000


def test_rows_of_the_same_moment_are_points_of_their_own(tmp_path: Path):
    rows = [
        QueryMetric("a", 1.8e9, "starter"),
        QueryMetric("b", 1.8e9, "starter"),
        FeedbackMetric("a", 1.8e9, "starter", thumb=1),
        FeedbackMetric("b", 1.8e9, "starter", thumb=1),
        SystemEvent(1.8e9, "stage", "train", run="r1"),
        SystemEvent(1.8e9, "stage", "train", run="r2"),
        KpiSnapshot("starter", 1.8e9, "r1", quality=0.5),
        EvolutionMetric("starter", "r1", "sft", "trained", 1.8e9, 60),
        EvolutionMetric("starter", "r2", "sft", "trained", 1.8e9, 60),
    ]
    found: set[str] = set()
    with reading(fill(tmp_path / "metrics.sqlite", rows)) as db:
        for table in (*points.APPENDED, *points.REWRITTEN):
            for line in points.lines(table, db.execute(f"SELECT * FROM {table.name}").fetchall()):
                key, _, moment = line.partition(" ")[0], *line.rpartition(" ")[1:]
                found.add(f"{key} {moment}")
    assert len(found) == len(rows)


def test_a_scrape_is_computed_once_for_all_who_ask_within_some_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scrape, "FRESH", 0.5)
    layout = Layout(tmp_path)
    fill(layout.metrics, [EvolutionMetric("starter", "r1", "sft", "trained", 1.8e9, 60)])

    async def ask() -> None:
        page = scrape.Scrape(layout)
        first = await asyncio.gather(*(page.text() for _ in range(20)))
        assert len({id(each) for each in first}) == 1
        fill(layout.metrics, [EvolutionMetric("starter", "r2", "sft", "trained", 1.8e9, 60)])
        assert b"autogen_training_completed_total 1.0" in await page.text()
        await asyncio.sleep(0.6)
        assert b"autogen_training_completed_total 2.0" in await page.text()

    asyncio.run(ask())


def test_chats_go_on_while_the_store_is_slow(tmp_path: Path):
    layout = Layout(tmp_path)
    fill(layout.metrics, a_week())
    expected = len(families.exposition(layout))
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.001)

    async def ask() -> None:
        heart = asyncio.create_task(beat())
        began, page = time.monotonic(), scrape.Scrape(layout)
        while time.monotonic() < began + 0.5:
            page = scrape.Scrape(layout)
            assert len(await page.text()) >= expected - 100
        heart.cancel()

    asyncio.run(ask())
    assert beats > 20
