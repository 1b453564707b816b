"""Whatever goes wrong, and however much is logged: nobody reads the URL of a webhook, a password, or a signing key."""

import logging
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from handmade import FIRST, make_settings
from receivers import SECRET, mailbox, make_certificate, receiving

from pipeline.lib import runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, UnavailableError
from pipeline.lib.logs import logger
from pipeline.notify import try_out

PASSWORD, KEY = "P4SSW0RD", "S1GN1NG"
FAILURES = {
    "refused": (400, {}),
    "gone, with the URL in its answer": (404, {}),
    "with the URL in a header": (410, {"X-Path": f"/services/{SECRET}"}),
    "busy": (429, {"Retry-After": "0"}),
    "broken": (500, {"Retry-After": "0"}),
    "no HTTP": (999, {}),
    "silent": None,
}
KINDS = ("slack", "discord", "generic")


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.NOTSET)
    monkeypatch.setattr(logging.getLogger("mail.log"), "level", logging.CRITICAL + 1)  # the server's own
    for name in (
        "nightschool",
        "slack_sdk",
        "slack_sdk.webhook",
        "slack_sdk.webhook.client",
        "urllib3",
        "http",
        "smtplib",
    ):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)


def settings(home: Path, **notify: Any) -> Settings:
    return Settings(home=home, server={"port": 0}, notify={"timeout": 0.3, "webhook_secret": KEY, **notify})


@contextmanager
def nothing_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """All that the block leaves in logs, on the terminal, or adds to the list, is looked through."""
    shown: list[str] = []
    yield shown
    captured = capfd.readouterr()
    everything = "\n".join([*shown, captured.out, captured.err, caplog.text, *(repr(vars(r)) for r in caplog.records)])
    assert not [secret for secret in (SECRET, PASSWORD, KEY) if secret in everything]


def attempt(told: Settings) -> str:
    """What a test message leads to, with all that hangs on its error."""
    with pytest.raises(UnavailableError) as caught:
        try_out(told, dry_run=False)
    error = caught.value
    lines = traceback.TracebackException.from_exception(error, capture_locals=False).format()
    return "".join([*lines, str(error), repr(error), error.hint, repr(told), told.model_dump_json()])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_answer_brings_a_secret_to_light(
    tmp_path: Path,
    kind: str,
    failure: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    with receiving(FAILURES[failure]) as receiver, nothing_told(caplog, capfd) as shown:
        shown.append(attempt(settings(tmp_path, webhook=receiver.url, kind=kind)))
    assert receiver.received


@pytest.mark.parametrize("kind", KINDS)
def test_no_redirect_bad_certificate_bad_url_or_missing_host_brings_a_secret_to_light(
    tmp_path: Path,
    kind: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    with ExitStack() as stack:
        other = stack.enter_context(receiving())
        moved = stack.enter_context(receiving((307, {"Location": other.url})))
        unsigned = stack.enter_context(receiving(certificate=make_certificate(tmp_path)))
        urls = [
            moved.url,
            unsigned.url,
            unsigned.url.replace("https", "http"),
            moved.url.replace("http", "https"),
            f"http://127.0.0.1:1/{SECRET}",
            f"http://nothing.invalid/{SECRET}",
            f"http://user:{SECRET}@127.0.0.1:1/",
            f"ftp://127.0.0.1/{SECRET}",
            f"http://[::{SECRET}",
            f"http://127.0.0.1:{SECRET}/",
            f"{SECRET}",
        ]
        shown = stack.enter_context(nothing_told(caplog, capfd))
        shown.append(attempt(settings(tmp_path, webhook=" ".join(urls), kind=kind)))
        assert shown[0].count("did not take the message: ") % len(urls) == 0
        assert "arrived: nobody" in shown[0]
        assert other.received == []
        assert unsigned.received == []


def test_what_arrives_brings_no_secret_to_light_either(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with receiving() as receiver, nothing_told(caplog, capfd) as shown:
        for kind in KINDS:
            told = settings(tmp_path, webhook=receiver.url, kind=kind)
            shown.append(str(try_out(told, dry_run=False)))
    assert len(receiver.received) == 3
    assert not any(secret.encode() in body for _, body in receiver.received for secret in (SECRET, KEY))


def test_no_mail_server_brings_a_password_to_light(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with ExitStack() as stack:
        open_server = stack.enter_context(mailbox())
        open_server.answers = [f"554 {PASSWORD}"] * 9
        wrong_login = stack.enter_context(mailbox(password="another"))
        unsigned = stack.enter_context(mailbox(make_certificate(tmp_path), PASSWORD))
        shown = stack.enter_context(nothing_told(caplog, capfd))
        cases: list[tuple[int, str]] = [
            (open_server.port, "plain"),
            (open_server.port, "starttls"),
            (open_server.port, "tls"),
            (wrong_login.port, "plain"),
            (unsigned.port, "starttls"),
            (1, "plain"),
        ]
        for port, security in cases:
            login = {"smtp_user": "ada", "smtp_password": PASSWORD} if port != open_server.port else {}
            server = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": security}
            shown.append(attempt(settings(tmp_path, email_to=["ada@example.org"], **server, **login)))


def test_nothing_of_it_is_left_in_a_file_after_a_night_that_could_not_be_told(tmp_path: Path):
    home = make_settings(tmp_path).home
    with pytest.raises(NightschoolError), runs.recorded(settings(home).layout, FIRST, "harvest"):
        raise UnavailableError("no gateway")
    with receiving((404, {})) as receiver:
        variables = {
            "NOTIFICATION_WEBHOOK": f"{receiver.url} http://[::{SECRET}",
            "NIGHTSCHOOL_NOTIFY__SMTP_PASSWORD": PASSWORD,
            "NIGHTSCHOOL_NOTIFY__SMTP_USER": "ada",
            "NIGHTSCHOOL_NOTIFY__SMTP_PORT": "1",
            "NIGHTSCHOOL_NOTIFY__EMAIL_TO": "ada@example.org",
        }
        done = [
            subprocess.run(
                [sys.executable, "-m", "pipeline.cli", "--home", home, "-v", *command],
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            for command in (["notify"], ["notify", "--test"])
        ]
    assert [each.returncode for each in done] == [0, 69]
    assert "sent: False" in done[0].stdout
    files = [path.read_text(errors="replace") for path in (home / "logs").rglob("*") if path.is_file()]
    everything = "\n".join([*files, *(each.stdout + each.stderr for each in done)])
    assert "HTTP 404" in everything
    assert not [secret for secret in (SECRET, PASSWORD) if secret in everything]
