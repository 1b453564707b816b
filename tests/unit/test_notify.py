"""The night is told once, in the words that matter, and whoever cannot be reached changes nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from handmade import FIRST, SECOND, THIRD, make, make_settings
from receivers import Receiver, receiving

from pipeline.backends.notifiers.night import compose
from pipeline.lib import generations, jsonl, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import (
    AwaitingApproval,
    BadRecordError,
    BusyError,
    Inconclusive,
    NightschoolError,
    NothingToDo,
    Refused,
    RolledBack,
    UnavailableError,
)
from pipeline.lib.files import write_json
from pipeline.lib.logs import logger
from pipeline.notify import notify, try_out

DOWN = UnavailableError("no answer from the gateway at http://127.0.0.1:8808 (ConnectionError)")


def verdict(before: float, after: float, low: float = 0.1) -> dict[str, Any]:
    sides = {
        side: {"success": share, "interval": [share - 0.05, share + 0.04]}
        for side, share in (("incumbent", before), ("candidate", after))
    }
    overall = {"name": "overall", "n": 600, "wins": 70, "losses": 8, "value": after - before, "interval": [low, 0.4]}
    return {
        "outcome": "pass",
        "reason": "70 won, 8 lost of 600",
        "checks": [overall],
        "suites": {"holdout": {"n": 400, **sides}},
    }


def played(settings: Settings, run: str, *stages: str, ending: NightschoolError | None = None) -> None:
    """A night whose stages went well, but the last one if there is an ending."""
    for stage in stages:
        try:
            with runs.recorded(settings.layout, run, stage) as line:
                line.outputs = {
                    "harvest": {"failures": 900, "rewrites": 300},
                    "train": {"rows": 600, "loss": 0.05},
                }.get(stage, {})
                if ending and stage == stages[-1]:
                    raise ending
        except NightschoolError:
            pass


def told(settings: Settings, run: str) -> Any:
    return compose(settings, run, list(jsonl.read(settings.layout.runs)))


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


def test_a_better_model_is_told_in_one_line_that_a_phone_shows(judged: Settings):
    played(judged, FIRST, "doctor", "harvest", "build-dataset", "train", "canary", "deploy")
    message = told(judged, FIRST)
    assert message.title == f"better: 51 → 79 % (400 questions), serving {FIRST}"
    assert len(message.title) <= 60
    assert (message.event, message.severity, message.text) == ("deployed", "good", "70 won, 8 lost of 600")
    assert message.facts["held-out"] == "51.4% [46.4%, 55.4%] → 78.7% [73.7%, 82.7%] of 400"
    assert message.facts["harvested"] == "900 failures, 300 better answers"
    assert "nightschool rollback" in message.next_step


def test_what_is_not_surely_better_is_not_called_so(settings: Settings):
    write_json(make(settings, FIRST).folder / generations.VERDICT, verdict(0.651, 0.654, low=-0.02))
    played(settings, FIRST, "train", "canary", "deploy")
    assert told(settings, FIRST).title == f"not worse: 65.1 → 65.4 % (400 questions), serving {FIRST}"


@pytest.mark.parametrize(
    ("stages", "ending", "event", "severity", "title", "step"),
    [
        (["canary"], Refused("worse"), "refused", "info", "refused: 51 → 79 % (400 questions), still", "report"),
        (["canary", "deploy"], Refused("pinned"), "refused", "info", "refused at deploy: still serving base", "report"),
        (["canary"], Inconclusive("?"), "inconclusive", "info", "too little evidence: 51 → 79 %", "nightschool report"),
        (["deploy"], AwaitingApproval("14:00"), "awaiting-approval", "warning", "awaiting approval: 51", "approve`"),
        (["deploy"], RolledBack("slow"), "rolled-back", "bad", "rolled back: serving base again", "rollback_summary"),
        (["harvest"], DOWN, "failed", "bad", "failed in harvest: no answer from the gateway", "nightschool doctor"),
        (["train"], BusyError("locked"), "failed", "bad", "failed in train: locked", "nightly_"),
        (["doctor", "harvest"], None, "failed", "bad", "failed: the night ended after harvest", "doctor"),
        (["build-dataset"], NothingToDo("3 of 5"), "nothing-to-do", "info", "nothing to learn: 3 of", "Nothing"),
        (["harvest", "train"], None, "trained", "info", "trained: 600 rows, loss 0.05, not judged yet", "canary"),
        (["rollback"], None, "rolled-back", "bad", "rolled back by hand: serving base again", "status"),
    ],
)  # fmt: skip
def test_every_ending_has_its_event_its_first_line_and_a_next_step(
    judged: Settings,
    stages: list[str],
    ending: NightschoolError | None,
    event: str,
    severity: str,
    title: str,
    step: str,
):
    played(judged, FIRST, *stages, ending=ending)
    message = told(judged, FIRST)
    assert message.title.startswith(title)
    assert (message.event, message.severity) == (event, severity)
    assert step in message.next_step
    assert message.facts["night"].startswith(FIRST)


def test_a_harvest_without_news_does_not_end_a_night(judged: Settings):
    played(judged, FIRST, "harvest", ending=NothingToDo("no failures"))
    played(judged, FIRST, "train", "canary", "deploy")
    assert told(judged, FIRST).event == "deployed"


def test_rounds_of_a_night_are_one_night_and_its_candidate_is_the_last(settings: Settings):
    second_round = f"{FIRST}-2"
    write_json(make(settings, second_round).folder / generations.VERDICT, verdict(0.5, 0.6))
    played(settings, FIRST, "harvest", "train")
    played(settings, second_round, "harvest", "train", "canary", "deploy")
    assert told(settings, FIRST) == told(settings, second_round)
    assert told(settings, FIRST).title.endswith(f"50 → 60 % (400 questions), serving {second_round}")


def test_an_approval_after_the_night_is_newer_than_its_end(judged: Settings):
    played(judged, FIRST, "canary", "deploy", ending=AwaitingApproval("until 14:00"))
    played(judged, FIRST, "approve", "deploy")
    assert told(judged, FIRST).event == "deployed"


def test_a_run_of_which_nothing_is_known_is_told_as_failed(settings: Settings):
    assert told(settings, FIRST).title == f"failed: run {FIRST} did not come to an end"


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


def test_the_same_failure_night_after_night_is_counted(settings: Settings):
    for run in (FIRST, SECOND, THIRD):
        played(settings, run, "harvest", ending=DOWN)
    assert told(settings, FIRST).title.startswith("failed in harvest: no answer")
    assert told(settings, THIRD).title.startswith("failed in harvest, third night in a row: no answer")


@pytest.mark.parametrize("ending", [BusyError("locked"), None])
def test_another_ending_begins_the_count_again(settings: Settings, ending: NightschoolError | None):
    played(settings, FIRST, "harvest", ending=DOWN)
    played(settings, SECOND, "harvest", ending=ending)
    played(settings, THIRD, "harvest", ending=DOWN)
    assert "in a row" not in told(settings, THIRD).title


def test_somebody_who_looks_in_between_does_not_break_the_row(settings: Settings):
    played(settings, FIRST, "harvest", ending=DOWN)
    played(settings, "20261118T090000Z", "doctor")
    played(settings, SECOND, "harvest", ending=DOWN)
    assert "second night in a row" in told(settings, SECOND).title


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
