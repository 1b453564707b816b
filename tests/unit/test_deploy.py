"""What is deployed and fails goes back, whatever else goes wrong."""

import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from handmade import FIRST, judged, make, make_settings, promote
from pretended import RIGHT, WRONG, Gateway
from stand_in import StandIn, send

from pipeline.backends.engines.live_watch import LiveWatch
from pipeline.backends.engines.switching import SUMMARY
from pipeline.backends.gateway_client import GatewayClient, OverloadedError, RefusedChatError
from pipeline.deploy import deploy
from pipeline.gate.monitor import Finding, Limits
from pipeline.lib import exclusions, generations, jsonl, trained_answers
from pipeline.lib.config import Settings
from pipeline.lib.errors import DiskError, Refused, RolledBack, UnavailableError
from pipeline.lib.files import read_json, write_json
from pipeline.lib.generations import DEPLOYMENT
from pipeline.rollback import rollback

RUN = "20261121T020000Z"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = make_settings(tmp_path, deploy={"monitor_duration": 0})
    judged(make(settings, FIRST), "base")
    return settings


@contextmanager
def serving(settings: Settings, monkeypatch: pytest.MonkeyPatch, history: list[bool]) -> Iterator[Gateway]:
    gateway = Gateway(settings, history)
    monkeypatch.setattr("pipeline.deploy.GatewayClient", lambda _: gateway)
    monkeypatch.setattr("pipeline.rollback.GatewayClient", lambda _: gateway)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield gateway
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def fill_disk() -> None:
    """From now on no file takes a byte."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))


def current(settings: Settings) -> str:
    return generations.incumbent(settings.layout).id


@pytest.mark.parametrize("moment", ["verify", "activate"])
def test_a_full_disk_does_not_leave_a_failing_candidate_in_service(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
):
    """`verify`: full before the swap, so its ledger fails; `activate`: full during the watch."""
    with serving(settings, monkeypatch, WRONG) as gateway:
        gateway.hooks[moment] = fill_disk
        with pytest.raises(RolledBack, match=r"\(proven\).*not all is written down: cannot append") as caught:
            deploy(settings, FIRST, RUN, dry_run=False)
    assert str(caught.value).startswith(f"{FIRST} was rolled back to base")
    assert (current(settings), gateway.active) == ("base", "base")


def test_a_full_disk_does_not_take_a_healthy_candidate_back(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    with serving(settings, monkeypatch, RIGHT) as gateway:
        gateway.hooks["activate"] = fill_disk
        assert deploy(settings, FIRST, RUN, dry_run=False)["watch"]["health"] == "healthy"
    assert (current(settings), gateway.active) == (FIRST, FIRST)


def asked_by_canary(settings: Settings, **suites: tuple[int, int]) -> None:
    """Each suite: so many questions that both versions got right, and so many that neither did; judged ones as well."""
    rows = [
        {
            "suite": suite,
            "messages": [{"role": "user", "content": f"{suite} {number}"}],
            "check": {"type": "text", "equals": FIRST if number < right else "nobody says this"},
            "candidate": {"passed": number < right},
            "incumbent": {"passed": number < right},
        }
        for suite, (right, wrong) in suites.items()
        for number in range(right + wrong)
    ]
    judged = {"suite": "holdout", "messages": [], "check": {"type": "judge"}, "incumbent": {"passed": None}}
    jsonl.write(settings.layout.generation(FIRST) / "canary.jsonl", [*rows, judged])


@pytest.mark.parametrize(
    ("suites", "bound"),
    [
        ({"holdout": (38, 2), "canary": (16, 24)}, "67.5%"),
        ({"canary": (22, 18)}, "55.0%"),
        ({"hidden": (33, 7)}, "82.5%"),  # nobody has written tasks of his own
        ({"holdout": (1, 0), "canary": (24, 36)}, "41.0%"),  # it stopped when it had just begun with the hold-out
    ],
)
def test_probes_are_held_to_what_the_incumbent_reached_on_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, suites: dict[str, tuple[int, int]], bound: str
):
    """The candidate answers exactly as well as the incumbent did, so nothing is wrong with it."""
    asked_by_canary(settings, **suites)
    with serving(settings, monkeypatch, []) as gateway:
        watch = deploy(settings, FIRST, RUN, dry_run=False)["watch"]
    assert watch["health"] == "healthy"
    assert watch["reason"].endswith(f"bound {bound}")
    probed = [each.split()[0] for each in gateway.probed if each != "who are you?"]
    assert len(probed) == 20
    assert set(probed) <= set(suites)


def test_a_share_of_the_traffic_is_asked_for_a_limited_time_and_given_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    deploying = settings.deploy.model_copy(update={"candidate_share": 0.2})
    settings = settings.model_copy(update={"deploy": deploying})
    with serving(settings, monkeypatch, RIGHT) as gateway:
        deploy(settings, FIRST, RUN, dry_run=False)
    (begun, share, seconds), ended = gateway.shares
    assert (begun, share, ended[:2]) == (FIRST, 0.2, (FIRST, 0))
    assert 0 < seconds < 120


def watched(settings: Settings, chat: Callable[..., dict[str, object]], *questions: dict[str, object]) -> Finding:
    gateway = Gateway(settings, [])
    gateway.chat = chat
    limits = Limits(0.85, 1000, minimum_samples=5, incumbent_success=0.4)
    return LiveWatch(gateway, "base", list(questions), limits, seconds=0).run()[0]


def asking(text: str, check: dict[str, object]) -> dict[str, object]:
    return {"suite": "hidden", "messages": [{"role": "user", "content": text}], "check": check}


def said(*messages: list[dict[str, str]], **_: object) -> dict[str, object]:
    if messages[0][0]["content"] == "a system turn":
        raise RefusedChatError("the gateway refused: the chat template refuses these messages", 400)
    return {"choices": [{"message": {"content": "2"}}]}


def test_questions_that_the_gateway_refuses_are_wrong_and_no_outage(settings: Settings):
    """The canary has counted them so for both versions."""
    right, refused = (asking(text, {"type": "text", "equals": "2"}) for text in ("1 + 1?", "a system turn"))
    assert watched(settings, said, right, refused, refused, refused, right, right, right).health == "healthy"


def test_a_probe_from_somebodys_conversation_runs_no_code_of_a_plug_in(settings: Settings):
    with pytest.raises(ValueError, match="check type"):
        watched(settings, said, asking("1 + 1?", {"type": "plugins.somewhere:Check"}))


def test_what_learned_something_that_was_revoked_since_is_not_deployed(settings: Settings):
    trained_answers.write(settings.layout.generation(FIRST), {"learned": None})
    exclusions.record(settings.layout, "revoke", None, "learned", "asked for it")
    with pytest.raises(Refused, match="has been revoked"):
        deploy(settings, FIRST, RUN, dry_run=False)
    assert current(settings) == "base"


def test_probes_that_find_the_queue_full_say_nothing_about_the_candidate(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    asked = []

    def busy(*said: object, **_: object) -> dict[str, object]:
        asked.append(said)
        raise OverloadedError("the gateway answered 503: too many waiting requests")

    gateway = Gateway(settings, [])
    gateway.chat = busy
    limits = Limits(0.85, 1000, minimum_samples=5)
    question = {"messages": [{"role": "user", "content": "1 + 1?"}], "check": {"type": "text", "equals": "2"}}
    finding, _ = LiveWatch(gateway, "base", [question], limits, seconds=0).run()
    assert (finding.health, finding.reason) == ("unknown", "0 outcomes, 5 needed")
    assert len(asked) == 20


def test_a_full_queue_is_told_from_a_gateway_that_failed(settings: Settings):
    server = StandIn()
    settings.layout.logs.mkdir(exist_ok=True)
    write_json(settings.layout.logs / "server.json", {"url": server.url})
    try:
        for kind, expected in (("overloaded_error", OverloadedError), ("server_error", UnavailableError)):
            body = json.dumps({"error": {"message": "not now", "type": kind}}).encode()
            server.behaviour = lambda handler, _, body=body: send(handler, body, 503)
            with pytest.raises(UnavailableError, match="503: not now") as caught:
                GatewayClient(settings).chat([], "probe")
            assert caught.type is expected
    finally:
        server.stop()


def test_a_return_is_written_down_in_deployment_and_summary(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    with (
        serving(settings, monkeypatch, WRONG),
        pytest.raises(RolledBack, match=rf"{FIRST} was rolled back to base \(proven\): success 0.0%"),
    ):
        deploy(settings, FIRST, RUN, dry_run=False)
    assert read_json(settings.layout.generation(FIRST) / DEPLOYMENT)["watch"]["health"] == "failing"
    summary = read_json(settings.layout.current / SUMMARY)
    assert (summary["to"], summary["proven"], "disk_error" in summary) == ("base", True, False)


def test_a_link_that_cannot_be_moved_back_is_an_error_and_the_engine_returns_all_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    def refuse(link: Path, target: str) -> None:
        raise DiskError(f"cannot point {link} at {target}: No space left on device")

    with serving(settings, monkeypatch, WRONG) as gateway:
        gateway.hooks["activate"] = lambda: monkeypatch.setattr(generations, "point", refuse)
        with pytest.raises(DiskError, match=f"current still names {FIRST}"):
            deploy(settings, FIRST, RUN, dry_run=False)
    assert gateway.active == "base"


def test_a_rollback_by_hand_goes_through_though_its_ledger_cannot_be_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    promote(settings, FIRST)
    with serving(settings, monkeypatch, RIGHT) as gateway:
        fill_disk()
        with pytest.raises(DiskError, match="base serves again, but not all is written down"):
            rollback(settings, None, "test", RUN, dry_run=False)
    assert (current(settings), gateway.active) == ("base", "base")
