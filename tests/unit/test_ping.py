import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from short_nights import Nights

from pipeline.backends.notifiers import ping as receiver
from pipeline.backends.notifiers.interface import NotificationError
from pipeline.lib.config import load
from pipeline.lib.errors import ConfigurationError, UsageError
from pipeline.ping import ping

DEAD = "http://127.0.0.1:9/very-secret"


class Receiver:
    """A server that writes down which paths were asked for, and answers with the statuses that it is given."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.statuses: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/very-secret"


@pytest.fixture
def listening() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("sign", "path"),
    [("start", "/start"), *((code, "") for code in ("0", "10", "20", "21")), ("30", "/30"), ("69", "/69")],
)
def test_quiet_endings_are_good_news_and_others_come_with_their_code(
    tmp_path: Path, listening: Receiver, sign: str, path: str
):
    assert ping(load(tmp_path, {"night.ping_url": listening.url}), sign) == {"sent": True}
    assert listening.asked == [f"/very-secret{path}"]


def test_a_query_stays_at_the_end_of_the_url(listening: Receiver):
    receiver.send(f"{listening.url}/?key=1", "start")
    assert listening.asked == ["/very-secret/start?key=1"]


def test_a_ping_that_did_not_arrive_is_sent_once_more(listening: Receiver):
    listening.statuses = [503]
    receiver.send(listening.url)
    assert len(listening.asked) == 2
    listening.statuses = [404, 404]
    with pytest.raises(NotificationError, match="HTTP 404"):
        receiver.send(listening.url)


def test_without_a_url_nothing_is_sent_and_what_is_no_sign_is_refused(tmp_path: Path):
    assert ping(load(tmp_path), "0")["sent"] is False
    for sign in ("", "fail", "-1", "256", "²", "0/../x"):
        with pytest.raises(UsageError):
            ping(load(tmp_path), sign)


@pytest.mark.parametrize("url", [DEAD, "http://[very-secret", "very-secret", "http://very-secret\x00/"])
def test_a_dead_receiver_changes_nothing_and_its_url_is_told_to_nobody(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
):
    done = ping(load(tmp_path, {"night.ping_url": url}), "0")
    assert done["sent"] is False
    assert "very-secret" not in str(done) + caplog.text


def test_the_url_is_neither_shown_with_the_settings_nor_in_an_error(tmp_path: Path):
    nights = Nights(tmp_path)
    shown = nights.run("--set", f"night.ping_url={DEAD}", "config", "show", "night.ping_url")
    assert shown.stdout == "(set)\n"
    (tmp_path / "nightschool.toml").write_text(f'[night]\nping_url = ["{DEAD}"]\n')
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert "very-secret" not in str(caught.value) + caught.value.hint


def test_a_night_pings_first_and_last_and_its_code_is_its_own(tmp_path: Path):
    nights = Nights(tmp_path)
    nights.ends("canary", 20)
    nights.ends("ping", 70)
    with nights.wrapper() as night:
        night.communicate(timeout=60)
    assert night.returncode == 20
    assert (nights.calls[0], nights.calls[-2]) == ("ping start", "ping 20")


def test_the_journal_gets_the_priority_of_each_line_and_a_terminal_or_file_does_not(tmp_path: Path):
    said = tmp_path / "said"
    for same, start in ((True, "<4>the ping"), (False, "WARNING the ping")):
        with said.open("w") as file:
            status = os.fstat(file.fileno())
            environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino if same else 1}"}
            subprocess.run(
                [sys.executable, "-m", "pipeline.cli", "--set", f"night.ping_url={DEAD}", "ping", "0"],
                env={**environment, "NIGHTSCHOOL_HOME": str(tmp_path)},
                stderr=file,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=60,
            )
        assert said.read_text() == f"{start} did not arrive: nobody listens there\n"
