import asyncio
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from conftest import wait_for
from dashboard_homes import FIRST, SECOND, sha256_of, stages, two_nights
from receivers import receiving
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect, WebSocketState

from pipeline.dashboard import access, live, server
from pipeline.dashboard.app import STATIC, Dashboard
from pipeline.dashboard.locks import held
from pipeline.dashboard.schema import schema
from pipeline.dashboard.state import State
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BusyError
from pipeline.lib.files import locked, point
from pipeline.lib.layout import Layout
from pipeline.lib.runs import recorded
from pipeline.metrics.rows import FeedbackMetric, QueryMetric
from pipeline.metrics.store import MetricsStore

TOKEN = "the-token"
SOCKET = "ws://127.0.0.1:8081/ws"
SCHEMA = schema()


def play(settings: Settings):
    """As `pipeline.commands.common.stage_result`, without the global options."""

    def stage(name: str, run: str | None, dry_run: bool, job: Any) -> dict[str, Any]:
        with locked(settings.layout.lock(name), name), recorded(settings.layout, run or SECOND, name):
            return job(settings, run or SECOND)

    return stage


def settings_of(home: Path, **sections: Any) -> Settings:
    return Settings(home=home, server={"port": 9}, **sections)


def client_of(home: Path, **sections: Any) -> TestClient:
    settings = settings_of(home, **sections)
    return TestClient(Dashboard(settings, TOKEN, play(settings)).app(), base_url="http://127.0.0.1:8081")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as client:
        yield client


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return two_nights(tmp_path)


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with client_of(home) as client:
        yield client


def valid(value: Any, name: str) -> Any:
    jsonschema.validate(value, {"$defs": SCHEMA["$defs"], **SCHEMA["properties"][name]})
    return value


def asked(**changes: Any) -> dict[str, Any]:
    return {"generation": SECOND, "sha256": sha256_of(SECOND), "current": FIRST, **changes}


def post(client: TestClient, action: str, body: Any, token: str = TOKEN, **headers: str) -> Any:
    return client.post(f"/api/{action}", json=body, headers={"authorization": f"Bearer {token}", **headers})


@pytest.mark.parametrize("name", ["status", "metrics", "report", "answers"])
@pytest.mark.parametrize("fixture", ["empty", "client"])
def test_what_the_api_answers_is_what_its_schema_says(name: str, fixture: str, request: pytest.FixtureRequest):
    client = request.getfixturevalue(fixture)
    answer = client.get(f"/api/{name}" + ("?first=base&second=base" if name == "answers" else ""))
    assert answer.status_code == 200, answer.text
    valid(answer.json(), name)


def test_the_schema_that_is_served_is_a_valid_one_of_everything(empty: TestClient):
    served = empty.get("/api/schema").json()
    jsonschema.Draft202012Validator.check_schema(served)
    assert served == json.loads(json.dumps(SCHEMA))
    assert {"status", "metrics", "report", "answers", "update", "activity", "done", "failure"} == set(
        served["properties"]
    )


def test_an_empty_home_says_how_to_begin(empty: TestClient):
    advice = empty.get("/api/status").json()["data"]["evolution_status"]["advice"]
    assert ("No night yet.", "make night") in [(each["title"], each["command"]) for each in advice]
    assert empty.get("/api/report").json()["night"] is None
    assert empty.get("/api/metrics").json()["week"]["totals"]["queries"] == 0


def test_the_nights_come_with_their_intervals_and_what_came_of_them(client: TestClient):
    nights = client.get("/api/status").json()["data"]["evolution_status"]["nights"]
    found = [(each["run"], each["outcome"], each["success"], each["low"], each["high"]) for each in nights]
    assert found == [(FIRST, "deployed", 0.6, 0.5, 0.7), (SECOND, "awaiting", 0.7, 0.6, pytest.approx(0.8))]


def test_a_candidate_that_waits_is_offered_before_everything_but_an_outage(client: TestClient):
    advice = client.get("/api/status").json()["data"]["evolution_status"]["advice"]
    assert [each["severity"] for each in advice][:2] == ["bad", "warning"]
    assert (advice[1]["action"], advice[1]["generation"]) == ("approve", SECOND)


def titles(client: TestClient) -> list[str]:
    return [each["title"] for each in client.get("/api/status").json()["data"]["evolution_status"]["advice"]]


def test_a_deployed_model_is_said_to_serve_only_while_it_does(home: Path):
    stages(home, SECOND, ("deploy", "done", 0, ""))
    with client_of(home) as client:
        assert "Last night's model was deployed and serves no longer." in titles(client)
        point(home / "loras" / "current", SECOND)
        assert "The model learned something last night, and serves." in titles(client)


def test_the_time_to_approve_runs_out_on_an_open_page_and_is_told_as_such(home: Path, monkeypatch: pytest.MonkeyPatch):
    now = [time.time()]
    monkeypatch.setattr("time.time", lambda: now[0])
    state = State(settings_of(home), lambda: now[0])
    before = state.look()[0]["evolution_status"]
    now[0] += 1000  # seconds; there were 900
    after = state.look()[0]["evolution_status"]
    assert (before["awaiting"], after["awaiting"]) == (SECOND, None)
    assert (before["nights"][-1]["outcome"], after["nights"][-1]["outcome"]) == ("awaiting", "lapsed")
    assert after["version"] != before["version"]
    assert after["advice"][-1]["title"] == "Nobody approved last night's candidate in time. The model is what it was."


def test_a_night_is_late_unless_the_service_waits_for_something_to_learn(home: Path):
    state = State(settings_of(home), lambda: time.time() + 2 * 86_400)

    def told() -> list[str]:
        return [each["title"] for each in state.look()[0]["evolution_status"]["advice"]]

    assert "The night is late." in told()
    with locked(home / "logs" / "service.lock", "service"):
        assert "The night is late." not in told()


def test_each_generation_offers_only_what_can_be_done_with_it(client: TestClient):
    rows = {each["id"]: each["actions"] for each in client.get("/api/report").json()["generations"]}
    assert rows == {SECOND: ["approve", "reject"], FIRST: [], "base": ["rollback"]}


def test_answers_are_counted_and_filtered_by_who_was_right(client: TestClient):
    found = client.get(f"/api/answers?first={FIRST}&second={SECOND}&only=lost").json()
    assert found["counts"] == {"all": 3, "won": 1, "lost": 1, "same": 1}
    assert [(each["first"]["passed"], each["second"]["passed"]) for each in found["answers"]] == [(True, False)]


@pytest.mark.parametrize("query", ["first=../../etc", "first=20990101T000000Z", "only=best", "offset=-1", "offset=x"])
def test_a_question_that_makes_no_sense_is_a_404_in_words(client: TestClient, query: str):
    answer = client.get(f"/api/answers?{query}")
    assert answer.status_code == 404
    valid(answer.json(), "failure")


def test_numbers_of_the_store_are_shown(home: Path):
    with MetricsStore(home / "logs" / "metrics.sqlite") as store:
        store.add(QueryMetric("one", time.time(), "starter", latency_ms=100, success=True))
        store.add(FeedbackMetric("one", time.time(), "starter", thumb=1))
    with client_of(home) as client:
        week = valid(client.get("/api/metrics").json(), "metrics")["week"]
    assert (week["totals"]["queries"], week["satisfaction"]["rate"]) == (1, 1.0)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "127.0.0.1@evil.example",
        "me@127.0.0.1",
        "127.0.0.1:x",
        "[::1",
        "a b",
    ],
)
def test_another_host_is_refused_whatever_is_asked(client: TestClient, host: str):
    for answer in (client.get("/", headers={"host": host}), post(client, "reject", asked(), host=host)):
        assert answer.status_code == 421
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET, headers={"host": host}):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1:8081", "localhost:9999", "LOCALHOST", "[::1]:8081", "night.example"])
def test_loopback_and_configured_names_are_answered(tmp_path: Path, host: str):
    with client_of(tmp_path, dashboard={"hosts": "night.example"}) as client:
        assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9", "http://127.0.0.1:8081.evil.example"]
)
def test_what_another_page_sends_is_refused(client: TestClient, origin: str):
    assert post(client, "reject", asked(), origin=origin).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET, headers={"origin": origin}):
        pass


def test_the_page_itself_may_open_the_socket(client: TestClient):
    headers = {"origin": "http://127.0.0.1:8081"}
    with client.websocket_connect(SOCKET, headers=headers) as socket:
        assert valid(socket.receive_json(), "update")["data"]["evolution_status"]["awaiting"] == SECOND
        assert valid(socket.receive_json(), "activity")["lines"]


def test_a_change_on_the_disk_reaches_an_open_page(home: Path):
    with client_of(home, dashboard={"refresh_seconds": 0.1}) as client, client.websocket_connect(SOCKET) as socket:
        assert socket.receive_json()["data"]["evolution_status"]["awaiting"] == SECOND
        (home / "loras" / SECOND / "approval.json").unlink()
        messages = (socket.receive_json() for _ in range(20))
        assert any(
            m["type"] == "metrics_update" and m["data"]["evolution_status"]["awaiting"] is None for m in messages
        )


def test_a_flood_of_messages_closes_the_socket(client: TestClient):
    with client.websocket_connect(SOCKET) as socket:
        for _ in range(100):
            socket.send_text("x")
        with pytest.raises(WebSocketDisconnect) as closed:
            while True:
                socket.receive_json()
    assert closed.value.code == 1008


def test_a_large_message_closes_the_socket(client: TestClient):
    with client.websocket_connect(SOCKET) as socket:
        socket.send_text("x" * 5000)
        with pytest.raises(WebSocketDisconnect) as closed:
            while True:
                socket.receive_json()
    assert closed.value.code == 1008


def test_beyond_the_most_pages_one_more_is_told_to_come_later(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MOST_PAGES", 1)
    with client.websocket_connect(SOCKET) as first:
        first.receive_json()
        with client.websocket_connect(SOCKET) as second, pytest.raises(WebSocketDisconnect) as closed:
            second.receive_json()
    assert closed.value.code == 1013


def test_a_page_that_takes_nothing_is_let_go(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "_SLOWEST", 0.05)

    class Stuck:
        application_state = WebSocketState.CONNECTED

        async def accept(self) -> None: ...

        async def send_text(self, _: str) -> None:
            await asyncio.sleep(60)

        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(60)
            return {"type": "websocket.disconnect"}

        async def close(self, *_: Any) -> None: ...

    settings = settings_of(home)
    hub = Dashboard(settings, TOKEN, play(settings)).hub
    asyncio.run(asyncio.wait_for(hub.join(Stuck()), 5))
    assert not hub._pages


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "ünïcode"])
@pytest.mark.parametrize("action", ["approve", "reject", "rollback"])
def test_without_the_token_nothing_is_done(client: TestClient, home: Path, action: str, token: str):
    headers = {"authorization": f"Bearer {token}".encode()}
    answer = client.post(f"/api/{action}", json=asked(), headers=headers)
    assert answer.status_code == 401
    valid(answer.json(), "failure")
    assert json.loads((home / "loras" / SECOND / "approval.json").read_text())["state"] == "awaiting"


def test_only_json_is_taken(client: TestClient):
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.post("/api/reject", data=asked(), headers=headers).status_code == 415
    assert (
        client.post("/api/reject", content="{}", headers={**headers, "content-type": "text/plain"}).status_code == 415
    )
    assert client.get("/api/reject", headers=headers).status_code == 405


@pytest.mark.parametrize(
    "body", [{}, [], asked(generation="../x"), asked(more=1), asked(reason="x" * 501), asked(reason="x" * 5000)]
)
def test_a_body_that_makes_no_sense_is_refused(client: TestClient, body: Any):
    answer = post(client, "reject", body)
    assert answer.status_code in (400, 404)
    valid(answer.json(), "failure")


def test_a_rejection_is_that_of_the_command_with_its_line_in_the_log(client: TestClient, home: Path):
    done = post(client, "reject", asked(reason="too terse"))
    assert done.status_code == 200, done.text
    assert valid(done.json(), "done")["generation"] == SECOND
    said = json.loads((home / "loras" / SECOND / "approval.json").read_text())
    assert (said["state"], said["reason"], said["sha256"]) == ("rejected", "too terse", sha256_of(SECOND))
    last = list(jsonl.read(home / "logs" / "runs.jsonl"))[-1]
    assert (last["stage"], last["exit_code"]) == ("reject", 0)


def test_a_rollback_moves_the_link_and_says_that_nobody_has_proven_it(client: TestClient, home: Path):
    back = {"generation": "base", "sha256": None, "current": FIRST}
    done = post(client, "rollback", back)
    assert done.status_code == 200, done.text
    assert "NOT proven" in valid(done.json(), "done")["words"]
    assert (home / "loras" / "current").readlink().name == "base"
    assert list(jsonl.read(home / "logs" / "promotions.jsonl"))[-1]["reason"].startswith("rolled back: asked for on")
    report = client.get("/api/report").json()
    assert report["rollback"]["from"] == FIRST
    assert {each["id"]: each["actions"] for each in report["generations"]}[FIRST] == ["rollback"]


def test_what_is_done_on_the_page_is_told_as_after_a_night(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as receiver, client_of(home, notify={"webhook": receiver.url}) as client:
        assert post(client, "approve", asked()).status_code >= 500  # there is no gateway
        wait_for(lambda: len(receiver.bodies) == 1, 20)
        assert post(client, "rollback", {"generation": "base", "sha256": None, "current": FIRST}).status_code == 200
        wait_for(lambda: len(receiver.bodies) == 2, 20)
    failed, back = (str(body["text"]).splitlines()[0] for body in receiver.bodies)
    assert failed.startswith("🔴 failed in deploy: ")
    assert back.startswith("🔴 rolled back by hand: serving base again")


def test_a_deployment_that_cannot_be_had_is_told_in_words_and_changes_nothing(client: TestClient, home: Path):
    answer = post(client, "approve", asked())
    assert answer.status_code in (503, 500), answer.text
    assert valid(answer.json(), "failure")["error"]["hint"]
    assert (home / "loras" / "current").readlink().name == FIRST


@pytest.mark.parametrize("change", [{"sha256": "other"}, {"current": "base"}, {"generation": "20990101T000000Z"}])
def test_a_decision_about_something_else_than_what_is_there_is_refused(client: TestClient, home: Path, change: dict):
    answer = post(client, "reject", asked(**change))
    assert answer.status_code in (404, 409)
    assert json.loads((home / "loras" / SECOND / "approval.json").read_text())["state"] == "awaiting"


def test_a_stage_that_holds_the_lock_is_a_conflict_in_words(client: TestClient, home: Path):
    with locked(home / "logs" / "reject.lock", "reject"):
        answer = post(client, "reject", asked())
    assert answer.status_code == 409
    assert "already running" in answer.json()["error"]["message"]


def test_nothing_is_decided_while_a_night_is_swapping_models(client: TestClient, home: Path):
    with locked(home / "logs" / "deploy.lock", "deploy"):
        answer = post(client, "rollback", {"generation": "base", "sha256": None, "current": FIRST})
    assert answer.status_code == 409
    assert "deploy is already running" in answer.json()["error"]["message"]
    assert (home / "loras" / "current").readlink().name == FIRST


def test_one_action_at_a_time(home: Path):
    settings = settings_of(home)
    dashboard = Dashboard(settings, TOKEN, play(settings))
    actions = dashboard._actions
    with actions._alone("rollback", _asked()), pytest.raises(BusyError, match="rollback"):
        actions.carry_out("reject", _asked())


def _asked():
    from pipeline.dashboard.actions import Asked

    return Asked(**asked())


def test_who_holds_a_lock_is_known_without_trying_it(home: Path):
    layout = settings_of(home).layout
    layout.lock("train").touch()
    assert held(layout) == []
    with locked(layout.lock("train"), "train"):
        assert held(layout) == ["train"]


def test_a_training_that_is_under_way_shows_its_steps(home: Path):
    work = home / "loras" / ".20261121T020000Z.sft.0123abcd.work"
    points = [{"step": step, "steps": 40, "loss": 1 / step} for step in (10, 20, 20, 30)]
    jsonl.append(work / "progress.jsonl", points)
    with client_of(home) as client, locked(home / "logs" / "train.lock", "train"):
        training = client.get("/api/status").json()["data"]["training_status"]
    assert (training["state"], training["step"], training["steps"]) == ("running", 30, 40)
    assert (training["run"], training["method"]) == ("20261121T020000Z", "sft")
    assert [point["step"] for point in training["curve"]] == [10, 20, 30]


def test_hostile_text_is_one_line_with_nothing_invisible_in_it(client: TestClient):
    with client.websocket_connect(SOCKET) as socket:
        socket.receive_json()
        lines = [line["text"] for line in socket.receive_json()["lines"]]
    hostile = [line for line in lines if "onerror" in line]
    assert hostile
    assert not any(re.search("[\x00-\x1f\x7f\u202a-\u202e]", line) for line in lines)


def test_secrets_are_nowhere_on_the_page(home: Path):
    webhook = "https://hooks.example/T000/very-secret"
    log = f"2026-11-20 02:00:00,000 1 ERROR POST {webhook} with {TOKEN}x and http://me:password@host/ failed\n"
    (home / "logs" / "nightschool.log").write_text(log)
    access.token_of(Layout(home))
    (home / "logs" / "dashboard.token").write_text(f"{TOKEN}x")
    stages(home, SECOND, ("notify", "failed", 69, f"no answer from {webhook}"))
    with client_of(home, notify={"webhook": webhook}) as client, client.websocket_connect(SOCKET) as socket:
        said = json.dumps([socket.receive_json(), socket.receive_json()])
        said += "".join(client.get(f"/api/{name}").text for name in ("status", "report", "metrics"))
    assert "POST •••".encode("ascii", "backslashreplace").decode() in said
    for secret in ("very-secret", f"{TOKEN}x", "password"):
        assert secret not in said


def test_the_token_is_made_once_and_its_owners_only(tmp_path: Path):
    path = tmp_path / "logs" / "dashboard.token"
    token = access.token_of(Layout(tmp_path))
    assert token == access.token_of(Layout(tmp_path))
    assert len(token) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_uid == os.getuid()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_token_is_shown_on_a_terminal_and_gets_into_no_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
):
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: is_terminal))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("uvicorn.Server.run", lambda _, sockets: [each.close() for each in sockets])
    settings = settings_of(home, dashboard={"port": 0})
    said: list[str] = []
    server.run(settings, play(settings), said.append)
    assert (access.token_of(settings.layout) in " ".join(said)) == is_terminal
    assert ("dashboard.token" in " ".join(said)) != is_terminal


def test_a_damaged_file_is_named_and_the_page_stays(home: Path):
    (home / "loras" / FIRST / "generation.json").write_text("{")
    with client_of(home) as client:
        status, report = client.get("/api/status"), client.get("/api/report")
    assert "generation.json" in valid(status.json(), "status")["data"]["evolution_status"]["problem"]
    assert "generation.json" in valid(report.json(), "report")["problem"]


def test_the_page_asks_no_other_host_and_needs_no_inline_script(client: TestClient):
    page = client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=\"(https?:)?//|<script>|<style>| style=| on\w+=", page.text)
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert client.get(path).status_code == 200, path
    ours = [path for path in STATIC.iterdir() if path.suffix in (".js", ".css") and not path.name.startswith("uPlot")]
    assert not any(re.search(r"innerHTML|insertAdjacentHTML|https?://", path.read_text()) for path in ours)


def test_the_page_weighs_no_more_than_was_promised():
    assert sum(path.stat().st_size for path in STATIC.iterdir()) <= 150_000
