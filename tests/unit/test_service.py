import fcntl
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import pytest
import requests
from conftest import wait_for
from hypothesis import given
from hypothesis import strategies as st
from short_nights import Nights
from starlette.testclient import TestClient

from pipeline.harvest import harvest
from pipeline.lib import harvests, jsonl
from pipeline.lib.config import load
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.files import is_held, locked
from pipeline.lib.sections import Service
from pipeline.service import _Worker
from pipeline.servicing import timing
from pipeline.servicing.bell import Bell
from pipeline.servicing.door import application
from pipeline.servicing.state import State

SOON = ("--evolution-interval", "1s", "--port", "0", "--min-samples", "3")


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


@contextmanager
def serving(nights: Nights, retry: str = "100s") -> Iterator["Popen[str]"]:
    process = nights.start("--set", f"service.retry={retry}", "service", *SOON)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: "Popen[str]") -> str:
    """What a service said, that was told to stop and did so well."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return said


def test_a_night_is_played_when_enough_failures_wait_and_the_service_tells_of_it(nights: Nights):
    nights.fails(3)
    with serving(nights) as process:
        wait_for(lambda: nights.said.get("last_night") is not None, 30)
        health = requests.get(f"{nights.said['url']}/health", timeout=5)
        assert health.status_code == 200
        assert health.json()["last_night"]["outcome"] == "a better model is serving"
        assert health.json()["waiting"] == 3
        assert "3 of 3 new failures" in nights.run("status").stdout
        said = stopped(process)
    assert nights.calls[:4] == ["ping start", "doctor", "harvest", "build-dataset"]
    assert "the night is over: a better model is serving (exit 0)" in said
    assert nights.said["state"] == "stopped"
    assert nights.said["next_look"] is None
    assert "not running" in nights.run("status").stdout


def test_too_few_failures_are_no_night_and_neither_is_a_training_a_short_time_ago(nights: Nights):
    nights.fails(2)
    assert "would: wait" in nights.run("service", "--dry-run", "--min-samples", "3").stdout
    now = time.time()
    trained = {"run": "20261120T020000Z", "stage": "train", "exit_code": 0, "at": now - 100, "seconds": 40}
    jsonl.append(nights.folder / "logs" / "runs.jsonl", [trained])
    once = nights.run("service", "--once", "--min-samples", "2", "--training-interval", "30m")
    assert once.returncode == 10
    assert "0:29:0" in once.stderr or "0:28:5" in once.stderr
    assert nights.calls == []


def test_the_ping_goes_on_while_the_last_training_holds_a_night_back(nights: Nights, monkeypatch: pytest.MonkeyPatch):
    nights.fails(3)
    trained = {"run": "20261120T020000Z", "stage": "train", "exit_code": 0, "at": time.time() - 100, "seconds": 40}
    jsonl.append(nights.folder / "logs" / "runs.jsonl", [trained])
    for name, value in nights.variables.items():
        monkeypatch.setenv(name, value)
    pings: list[str] = []
    monkeypatch.setattr("pipeline.service.ping.send", pings.append)
    flags = {"service.min_samples": "3", "service.training_interval": "1h", "night.ping_url": "http://127.0.0.1:9/one"}
    with Bell() as bell:
        _Worker(load(nights.folder, flags), flags, bell)._turn()
    assert pings == ["http://127.0.0.1:9/one"]
    assert nights.calls == []


def test_one_look_ends_as_its_night_did_and_says_what_went_wrong(nights: Nights):
    nights.fails(3)
    nights.ends("canary", 69)
    once = nights.run("service", "--once", "--min-samples", "3")
    assert once.returncode == 69
    assert "outcome: failed" in once.stdout
    assert "said: error: canary failed" in once.stdout


def test_the_pause_after_an_error_begins_when_the_night_has_ended(nights: Nights):
    nights.fails(3)
    nights.ends("doctor", 69, seconds=4)
    with serving(nights, retry="2s"):
        wait_for(lambda: nights.said.get("errors_in_row") == 1 and nights.said["next_look"] is not None, 40)
        assert nights.said["next_look"] - nights.said["last_night"]["ended"] >= 1.5


def test_a_night_that_failed_is_played_again_though_its_harvest_has_decided_everything(nights: Nights):
    (nights.folder / "logs" / "service.json").write_text('{"schema": 1, "last_night": {"exit_code": 70}}')
    assert "would: play a night" in nights.run("service", "--dry-run").stdout
    assert nights.run("service", "--once").returncode == 0
    assert "deploy" in nights.calls
    assert "would: wait" in nights.run("service", "--dry-run").stdout


def test_failing_nights_do_not_end_the_service_and_make_it_unhealthy_until_one_ends_well(nights: Nights):
    nights.fails(3)
    nights.ends("doctor", 69)
    with serving(nights, retry="0.1s") as process:
        wait_for(lambda: nights.said.get("errors_in_row", 0) >= 3, 40)
        health = requests.get(f"{nights.said['url']}/health", timeout=5)
        assert health.status_code == 503
        assert health.json()["last_error"] == "the night failed (exit 69): error: doctor failed"
        nights.ends("doctor", 10)
        wait_for(lambda: nights.said["errors_in_row"] == 0, 20)
        assert requests.get(f"{nights.said['url']}/health", timeout=5).status_code == 200
        assert "<title>" in requests.get(f"{nights.said['url']}/", timeout=5).text  # the dashboard
        assert "service_status" in requests.get(f"{nights.said['url']}/api/status", timeout=5).text
        said = stopped(process)
    assert "error 3 in a row" in said


def test_while_cron_plays_a_night_the_service_waits_and_that_is_no_error(nights: Nights):
    nights.fails(3)
    with (nights.folder / "logs" / "night.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with serving(nights) as process:
            wait_for(lambda: (nights.said.get("last_night") or {}).get("exit_code") == 75, 30)
            assert nights.said["errors_in_row"] == 0
            assert nights.calls == []
            fcntl.flock(lock, fcntl.LOCK_UN)
            wait_for(lambda: nights.said["last_night"]["exit_code"] == 0, 30)
            stopped(process)


def test_a_second_service_of_the_same_home_and_one_whose_port_is_taken_are_refused(nights: Nights):
    with locked(nights.folder / "logs" / "service.lock", "another"):
        refused = nights.run("service")
    assert refused.returncode == 75
    assert "a service for this home is already running" in refused.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = nights.run("service", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 75
    assert "--port" in refused.stderr


def test_a_service_that_is_told_to_stop_ends_the_training_of_its_night(nights: Nights):
    nights.fails(3)
    nights.ends("train", 0, seconds=50)
    with serving(nights) as process:
        wait_for(lambda: "train" in nights.calls, 30)
        began = time.monotonic()
        stopped(process)
    assert time.monotonic() - began < 20
    assert nights.calls[-2:] == ["build-dataset", "train"]
    assert nights.said["last_night"]["exit_code"] == 75
    assert not is_held(nights.folder / "logs" / "night.lock")


def test_a_night_that_is_told_to_stop_finishes_its_deployment_and_tells_of_it(nights: Nights):
    nights.ends("deploy", 0, seconds=1.5)
    with nights.wrapper() as night:
        wait_for(lambda: "deploy" in nights.calls, 30)
        night.send_signal(signal.SIGTERM)
        night.send_signal(signal.SIGTERM)
        said, _ = night.communicate(timeout=30)
    assert night.returncode == 0
    assert "a better model is serving" in said
    ended = ["deploy", "deploy is over", "versions prune", "export-metrics", "notify", "ping 0"]
    assert nights.calls[-6:] == ended


def test_a_terminal_that_hangs_up_does_not_end_a_deployment_in_the_middle(nights: Nights):
    nights.ends("deploy", 30, seconds=1.5)
    with nights.wrapper() as night:
        wait_for(lambda: "deploy" in nights.calls, 30)
        os.killpg(night.pid, signal.SIGHUP)
        night.communicate(timeout=30)
    assert night.returncode == 30
    assert nights.calls[-6:] == ["deploy", "deploy is over", "versions prune", "export-metrics", "notify", "ping 30"]


def test_a_terminal_that_hangs_up_ends_any_other_stage(nights: Nights):
    nights.ends("harvest", 0, seconds=20)
    with nights.wrapper() as night:
        wait_for(lambda: "harvest" in nights.calls, 30)
        os.killpg(night.pid, signal.SIGHUP)
        night.communicate(timeout=10)
    assert night.returncode == 75
    assert "build-dataset" not in nights.calls


def test_a_stage_does_not_hold_the_lock_of_the_night(nights: Nights):
    nights.ends("harvest", 0, seconds=3)
    with nights.wrapper() as night:
        wait_for(lambda: "harvest" in nights.calls, 30)
        night.kill()
        night.wait()
        assert not is_held(nights.folder / "logs" / "night.lock")


def test_a_machine_that_slept_for_ten_hours_is_looked_at_once(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    clock, log = [1000.0], logging.getLogger("nightschool")
    monkeypatch.setattr(timing, "uptime", lambda: clock[0])
    for name, value in nights.variables.items():
        monkeypatch.setenv(name, value)
    seen: list[str] = []

    class Asleep(Bell):
        def wait(self, seconds: float) -> bool:
            if worker.state.doing != "waiting":
                return super().wait(seconds)
            seen.append("sleeps")
            clock[0] += 36_000
            self.rung = seen.count("sleeps") == 2
            return self.rung

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "0 of 50 new failures":
                seen.append("looks")

    handler = Heard()
    log.addHandler(handler)
    caplog.set_level(logging.INFO, "nightschool")
    try:
        with Asleep() as bell:
            worker = _Worker(load(nights.folder), {}, bell)
            worker.run()
    finally:
        log.removeHandler(handler)
    assert seen == ["looks", "sleeps", "looks", "sleeps"]


def test_the_time_in_which_it_waits_goes_on_while_the_machine_sleeps():
    since_boot = float(Path("/proc/uptime").read_text().split()[0])
    assert timing.uptime() == pytest.approx(since_boot, abs=2)


@given(st.integers(1, 10_000), st.floats(0.1, 100), st.floats(100, 1e6))
def test_pauses_double_up_to_the_longest_and_never_fall_together(errors: int, first: float, longest: float):
    pause = timing.pause(errors, first, longest)
    expected = min(longest, first * 2 ** min(errors - 1, 64))
    assert 0.75 * expected <= pause <= 1.25 * expected


def test_a_clock_that_was_set_back_holds_up_no_night():
    assert timing.rest(1000.0, 60, now=1030.0) == 30
    assert timing.rest(1000.0, 60, now=1060.0) == 0
    assert timing.rest(1000.0, 60, now=900.0) == 0
    assert timing.rest(None, 60, now=900.0) == 0


def test_a_service_that_has_not_looked_for_two_intervals_is_not_alive_unless_it_plays_a_night(tmp_path: Path):
    layout, wanted = load(tmp_path).layout, Service(evolution_interval=10)
    state = State(layout, wanted, looked=timing.uptime() - 21, doing="waiting")
    assert state.health()["problems"] == ["it has not looked for 0:00:21"]
    state.tell("night")
    assert state.health()["alive"]
    state.began -= 25 * 3600
    assert state.health()["problems"] == ["the night has been running for 1 day, 1:00:00"]


def test_health_is_a_status_for_monitors_and_no_answer_for_foreign_names(tmp_path: Path):
    state = State(load(tmp_path).layout, Service())
    with TestClient(application(state.health), base_url="http://127.0.0.1") as client:
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
        state.errors = 3
        assert client.get("/health").status_code == 503


def test_a_state_that_cannot_be_written_is_a_warning(tmp_path: Path):
    (tmp_path / "logs").write_text("not a folder")
    state = State(load(tmp_path).layout, Service())
    state.tell("waiting", waiting=3)
    assert state.health()["waiting"] == 3


@pytest.mark.parametrize(("written", "seconds"), [("1h", 3600), ("30m", 1800), ("90s", 90), ("1.5d", 129600), ("7", 7)])
def test_intervals_may_be_written_for_people(tmp_path: Path, written: str, seconds: float):
    assert load(tmp_path, {"service.evolution_interval": written}).service.evolution_interval == seconds


@pytest.mark.parametrize("written", ["h", "1w", "-1h", "0s", "1h30m", "nan", "inf"])
def test_other_intervals_are_refused(tmp_path: Path, written: str):
    with pytest.raises(ConfigurationError, match=r"service\.evolution_interval"):
        load(tmp_path, {"service.evolution_interval": written})


def test_a_script_that_is_not_there_is_a_configuration_error(nights: Nights):
    refused = nights.run("--set", "service.script=nothing.sh", "service")
    assert refused.returncode == 78
    assert "nothing.sh" in refused.stderr


def test_what_somebody_has_decided_is_not_new_until_more_is_said_about_it(nights: Nights):
    nights.fails(3)
    settings = load(nights.folder, {"dataset.hidden_share": "0"})
    assert harvest(settings, None, None, dry_run=True)["new"] == 3
    (log,) = (nights.folder / "logs" / "interactions").glob("*.jsonl")
    first, second, _ = (row["id"] for row in jsonl.read(log))
    unsolved = [
        {"interaction_id": each, "teacher": "somebody", "votes": {"cast": 2}, "weight": 0.4, "said_at": 0.0}
        for each in (first, second)
    ]
    unsolved[1]["waits"] = True
    files = harvests.of_day(settings.layout, datetime.now(UTC))
    jsonl.append(files.unsolved, unsolved)
    assert harvest(settings, None, None, dry_run=True)["new"] == 2
    jsonl.append(log, [{"kind": "feedback", "interaction_id": first, "at": time.time(), "thumb": -1}])
    found = harvest(settings, None, None, dry_run=True)
    assert (found["failures"], found["new"]) == (3, 3)


def test_the_bell_hears_a_signal_that_came_before_it_was_listened_to():
    with Bell() as bell:
        os.kill(os.getpid(), signal.SIGTERM)
        began = time.monotonic()
        assert bell.wait(30)
        assert time.monotonic() - began < 5
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
