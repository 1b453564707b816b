"""The night is told once, and whoever cannot be reached changes nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from handmade import FIRST, SECOND, THIRD, make, make_settings, promote
from handmade import judged as passed
from nights import DOWN, played, verdict
from receivers import Receiver, receiving

from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.errors import (
    AwaitingApproval,
    BadRecordError,
    NothingToDo,
    UnavailableError,
)
from pipeline.lib.files import write_json
from pipeline.lib.logs import logger
from pipeline.notify import notify, tell, try_out


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Receiver]:
    with receiving() as server:
        server.says = json.dumps({"adapter": "base", "adapter_sha256": None}).encode()
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "server.json").write_text(json.dumps({"url": f"http://127.0.0.1:{server.port}"}))
        yield server


@pytest.fixture
def settings(tmp_path: Path, gateway: Receiver, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return make_settings(tmp_path)


@pytest.fixture
def judged(settings: Settings) -> Settings:
    write_json(make(settings, FIRST).folder / generations.VERDICT, verdict(0.514, 0.787))
    return settings


def telling(settings: Settings, *urls: str, **more: Any) -> Settings:
    return Settings(home=settings.home, server={"port": 0}, notify={"webhook": " ".join(urls), "timeout": 5, **more})


@pytest.mark.parametrize("damage", ["loras/current", f"loras/{FIRST}/verdict.json", f"loras/{FIRST}/deployment.json"])
def test_a_damaged_file_that_broke_the_night_does_not_keep_its_news_back(
    judged: Settings, receiver: Receiver, damage: str
):
    played(judged, FIRST, "train", "canary", ending=BadRecordError(f"{damage} is damaged"))
    path = judged.home / damage
    if path.name == "current":
        path.symlink_to(THIRD)
    else:
        path.write_text("{")
    assert notify(telling(judged, receiver.url), FIRST, dry_run=False)["sent"]
    assert f"failed in canary: {damage} is damaged" in receiver.bodies[0]["text"]


def test_a_night_is_told_once_and_again_only_on_request(settings: Settings, receiver: Receiver):
    settings = telling(settings, receiver.url)
    played(settings, FIRST, "harvest", ending=DOWN)
    assert notify(settings, FIRST, dry_run=False)["sent"]
    with pytest.raises(NothingToDo, match="told before"):
        notify(settings, FIRST, dry_run=False)
    assert len(receiver.bodies) == 1
    assert notify(settings, FIRST, dry_run=False, again=True)["by"] == "slack"
    assert len(receiver.bodies) == 2


def test_another_ending_of_the_same_night_is_told_too(judged: Settings, receiver: Receiver):
    settings = telling(judged, receiver.url)
    played(settings, FIRST, "deploy", ending=AwaitingApproval("until 14:00"))
    notify(settings, FIRST, dry_run=False)
    played(settings, FIRST, "approve", "deploy")
    notify(settings, FIRST, dry_run=False)
    assert [body["text"].split(":")[0] for body in receiver.bodies] == ["🟡 awaiting approval", "✅ better"]


def test_a_dead_notifier_is_a_warning_and_is_told_later_what_the_others_know(
    settings: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    with receiving((404, {}), (200, {})) as dead:
        settings = telling(settings, dead.url, receiver.url)
        played(settings, FIRST, "harvest", ending=DOWN)
        assert notify(settings, FIRST, dry_run=False)["by"] == "slack 2"
        assert caplog.messages == ["slack: the webhook did not take the message: HTTP 404"]
        assert notify(settings, FIRST, dry_run=False)["by"] == "slack"
    assert (len(dead.bodies), len(receiver.bodies)) == (2, 1)


def test_if_nobody_could_be_told_the_reasons_are_given(settings: Settings):
    settings = telling(settings, "http://127.0.0.1:1/secret")
    played(settings, FIRST, "harvest", ending=DOWN)
    result = notify(settings, FIRST, dry_run=False)
    assert result == {
        "sent": False,
        "reason": "slack: the webhook did not take the message: nobody listens there",
    }


def test_a_server_that_differs_from_the_disk_outweighs_a_good_night(
    judged: Settings, gateway: Receiver, receiver: Receiver
):
    settings = telling(judged, receiver.url)
    played(settings, FIRST, "train", "canary", "deploy")
    gateway.says = json.dumps({"adapter": SECOND, "adapter_sha256": "1f"}).encode()
    notify(settings, FIRST, dry_run=False)
    (body,) = receiver.bodies
    assert body["text"].startswith(
        f"🔴 the server answers with {SECOND}, the disk says base\nThe night itself: better:"
    )
    played(settings, THIRD, "harvest", ending=DOWN)
    assert notify(settings, THIRD, dry_run=True)["event"] == "failed"
    assert notify(settings, THIRD, dry_run=True)["facts"]["server"] == f"answers with {SECOND}"


@pytest.mark.parametrize("says", [b"{}", b"<html>", b"[]"])
def test_a_server_that_is_no_gateway_does_not_keep_the_news_back(
    settings: Settings, gateway: Receiver, receiver: Receiver, says: bytes
):
    gateway.says = says
    played(settings, FIRST, "harvest", ending=DOWN)
    assert notify(telling(settings, receiver.url), FIRST, dry_run=False)["sent"]


def test_events_that_nobody_asked_for_are_not_told(settings: Settings, receiver: Receiver):
    settings = telling(settings, receiver.url)
    played(settings, FIRST, "harvest", "train")
    with pytest.raises(NothingToDo, match="trained is not among"):
        notify(settings, FIRST, dry_run=False)
    assert receiver.bodies == []
    asked = telling(settings, receiver.url, events="trained,failed")
    assert notify(asked, FIRST, dry_run=False)["sent"]


def test_a_dry_run_sends_and_writes_nothing(settings: Settings, receiver: Receiver):
    settings = telling(settings, receiver.url)
    played(settings, FIRST, "harvest", ending=DOWN)
    assert notify(settings, FIRST, dry_run=True)["title"].startswith("failed in harvest")
    assert receiver.bodies == []
    assert not settings.layout.notified.exists()


def test_a_damaged_line_of_the_log_that_broke_the_night_does_not_keep_its_news_back(
    settings: Settings, receiver: Receiver
):
    settings.layout.runs.write_text("{torn\n")
    played(settings, FIRST, "harvest", ending=BadRecordError("runs.jsonl line 1: not JSON"))
    assert notify(telling(settings, receiver.url), FIRST, dry_run=False)["sent"]


def test_the_generic_message_keeps_its_schema(judged: Settings, receiver: Receiver):
    import jsonschema

    settings = telling(judged, receiver.url, kind="generic", link="https://nights.example/")
    played(settings, FIRST, "train", "canary", "deploy")
    notify(settings, FIRST, dry_run=False)
    schema = json.loads((Path(__file__).resolve().parents[2] / "docs" / "notification.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    (body,) = receiver.bodies
    jsonschema.validate(body, schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    assert (body["event"], body["run"], body["link"]) == ("deployed", FIRST, "https://nights.example/")


def by_hand(home: Path, receiver: Receiver, *command: str) -> "subprocess.CompletedProcess[str]":
    """A command, with somebody to tell and no gateway."""
    (home / "logs" / "server.json").unlink()
    (home / "logs" / "control.token").write_text("token")
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--home", home, "--set", "server.port=9", *command],
        env={**os.environ, "NOTIFICATION_WEBHOOK": receiver.url, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_rollback_by_hand_is_told(settings: Settings, receiver: Receiver):
    make(settings, FIRST)
    promote(settings, FIRST)
    assert by_hand(settings.home, receiver, "rollback").returncode == 0
    (body,) = receiver.bodies
    assert body["text"].startswith("🔴 rolled back by hand: serving base again")


def test_a_rollback_that_changed_nothing_is_not_told(settings: Settings, receiver: Receiver):
    make(settings, FIRST)
    promote(settings, FIRST)
    assert by_hand(settings.home, receiver, "rollback", "--to", THIRD).returncode == 64
    assert receiver.bodies == []


def test_how_a_deployment_ended_that_a_person_approved_is_told(settings: Settings, receiver: Receiver):
    passed(make(settings, FIRST), "base")
    done = by_hand(settings.home, receiver, "approve", "--candidate", FIRST)
    assert done.returncode == 69, done.stderr
    (body,) = receiver.bodies
    assert body["text"].startswith("🔴 failed in deploy: no answer from the gateway")


def test_a_message_that_cannot_be_sent_fails_no_command(settings: Settings, caplog: pytest.LogCaptureFixture):
    played(settings, FIRST, "rollback")
    settings.layout.notified.mkdir()
    tell(telling(settings, "http://127.0.0.1:1/secret"), FIRST)
    assert "not everybody may have been told" in caplog.messages[-1]


def test_a_test_message_says_who_got_it(settings: Settings, receiver: Receiver):
    assert try_out(telling(settings, receiver.url), dry_run=False) == {"slack": "arrived"}
    with pytest.raises(UnavailableError, match=r"slack 2: .*nobody listens there; arrived: slack"):
        try_out(telling(settings, receiver.url, "http://127.0.0.1:1/secret"), dry_run=False)
    with pytest.raises(NothingToDo):
        try_out(settings, dry_run=False)


@pytest.mark.parametrize(("urls", "code"), [(["{good}"], 0), (["{good}", "http://127.0.0.1:1/s3cret"], 69), ([], 10)])
def test_the_test_command_ends_with_69_if_somebody_did_not_get_it(
    settings: Settings, receiver: Receiver, urls: list[str], code: int
):
    webhook = " ".join(urls).format(good=receiver.url)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--home", settings.home, "notify", "--test"],
        env={**os.environ, "NOTIFICATION_WEBHOOK": webhook},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("slack: arrived" in done.stdout) == (code == 0)
    assert "s3cret" not in done.stdout + done.stderr
