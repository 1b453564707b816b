import time
from pathlib import Path

import pytest
from handmade import FIRST, SECOND, answered, judged, make, make_settings, promote

from pipeline.approve import approve, evidence, reject
from pipeline.deploy import deploy
from pipeline.lib import permission, pins
from pipeline.lib.config import Settings
from pipeline.lib.errors import (
    AwaitingApproval,
    BadRecordError,
    ExitCode,
    Inconclusive,
    NothingToDo,
    Refused,
)
from pipeline.lib.files import read_json, write_json
from pipeline.lib.generations import ADAPTER_FILE, Generation

RUN = "20261121T020000Z"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path, deploy={"approval": True, "approval_hours": 2})


@pytest.fixture
def candidate(settings: Settings) -> Generation:
    return judged(make(settings, FIRST), "base")


def said(candidate: Generation) -> dict[str, object]:
    return read_json(candidate.folder / permission.APPROVAL)


def late(candidate: Generation) -> None:
    write_json(candidate.folder / permission.APPROVAL, {**said(candidate), "until": time.time() - 1})


def try_to_deploy(settings: Settings) -> None:
    deploy(settings, FIRST, RUN, dry_run=False)


def would_be_deployed(settings: Settings) -> bool:
    return deploy(settings, FIRST, RUN, dry_run=True)["to"] == FIRST


def test_a_candidate_that_passed_waits_for_a_person(settings: Settings, candidate: Generation):
    with pytest.raises(AwaitingApproval, match="awaiting approval until") as caught:
        try_to_deploy(settings)
    assert caught.value.exit_code == ExitCode.INCONCLUSIVE
    assert "nightschool approve" in caught.value.hint
    assert f"nightschool versions compare base {FIRST}" in caught.value.hint
    record = said(candidate)
    assert record["state"] == "awaiting"
    assert record["until"] - record["since"] == 2 * 3600


def test_asking_again_does_not_prolong_the_time(settings: Settings, candidate: Generation):
    for _ in range(2):
        with pytest.raises(AwaitingApproval):
            try_to_deploy(settings)
        first = said(candidate)
    assert said(candidate) == first
    longer = settings.model_copy(update={"deploy": settings.deploy.model_copy(update={"approval_hours": 99})})
    with pytest.raises(AwaitingApproval):
        try_to_deploy(longer)
    assert said(candidate) == first


def test_a_dry_run_says_that_it_would_wait_and_writes_nothing(settings: Settings, candidate: Generation):
    with pytest.raises(AwaitingApproval):
        deploy(settings, FIRST, RUN, dry_run=True)
    assert not (candidate.folder / permission.APPROVAL).exists()


def test_without_the_setting_nobody_is_asked(settings: Settings, candidate: Generation):
    plain = settings.model_copy(update={"deploy": settings.deploy.model_copy(update={"approval": False})})
    assert would_be_deployed(plain)
    assert not (candidate.folder / permission.APPROVAL).exists()


def test_an_approval_says_who_when_and_for_which_tensors(settings: Settings, candidate: Generation):
    with pytest.raises(AwaitingApproval):
        try_to_deploy(settings)
    assert approve(settings, None, "Ada", dry_run=True) == {"dry_run": True, "candidate": FIRST}
    assert said(candidate)["state"] == "awaiting"
    approve(settings, None, "Ada", dry_run=False)
    record = said(candidate)
    assert (record["state"], record["by"], record["sha256"]) == ("approved", "Ada", candidate.sha256)
    assert record["since"] <= record["at"] <= time.time()
    assert would_be_deployed(settings)


def test_a_person_may_approve_before_being_asked(settings: Settings, candidate: Generation):
    approve(settings, FIRST, None, dry_run=False)
    assert said(candidate)["by"]
    assert would_be_deployed(settings)


def test_an_approval_does_not_hold_for_other_tensors(settings: Settings, candidate: Generation):
    approve(settings, FIRST, "Ada", dry_run=False)
    with (candidate.folder / ADAPTER_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BadRecordError, match="has changed"):
        try_to_deploy(settings)
    write_json(candidate.folder / permission.APPROVAL, {**said(candidate), "sha256": "of other tensors"})
    (candidate.folder / ADAPTER_FILE).write_bytes((candidate.folder / ADAPTER_FILE).read_bytes()[:-1])
    with pytest.raises(AwaitingApproval):
        try_to_deploy(settings)


def test_an_approval_does_not_hold_against_another_incumbent(settings: Settings, candidate: Generation):
    approve(settings, FIRST, "Ada", dry_run=False)
    make(settings, SECOND)
    promote(settings, SECOND)
    with pytest.raises(Refused, match="about other versions"):
        try_to_deploy(settings)
    judged(candidate, SECOND)
    with pytest.raises(AwaitingApproval):
        try_to_deploy(settings)
    assert said(candidate)["incumbent"] == SECOND


def test_an_approval_that_comes_too_late_is_refused_and_the_incumbent_stays(settings: Settings, candidate: Generation):
    with pytest.raises(AwaitingApproval):
        try_to_deploy(settings)
    late(candidate)
    for attempt in (lambda: try_to_deploy(settings), lambda: approve(settings, FIRST, "Ada", dry_run=False)):
        with pytest.raises(Refused, match="was not approved before"):
            attempt()
    assert not permission.is_awaited(candidate)


def test_an_approval_in_time_holds_after_the_time_is_over(settings: Settings, candidate: Generation):
    with pytest.raises(AwaitingApproval):
        try_to_deploy(settings)
    approve(settings, FIRST, "Ada", dry_run=False)
    late(candidate)
    assert would_be_deployed(settings)


def test_a_rejected_candidate_is_never_deployed(settings: Settings, candidate: Generation):
    approve(settings, FIRST, "Ada", dry_run=False)
    reject(settings, FIRST, "Bob", "too terse", dry_run=False)
    plain = settings.model_copy(update={"deploy": settings.deploy.model_copy(update={"approval": False})})
    for attempt in (
        lambda: try_to_deploy(settings),
        lambda: try_to_deploy(plain),
        lambda: approve(settings, FIRST, "Ada", dry_run=False),
    ):
        with pytest.raises(Refused, match="was rejected by Bob: too terse"):
            attempt()


@pytest.mark.parametrize(("outcome", "ending"), [("fail", Refused), ("inconclusive", Inconclusive)])
def test_nobody_can_approve_what_did_not_pass(settings: Settings, outcome: str, ending: type[Exception]):
    candidate = judged(make(settings, FIRST), "base", outcome)
    with pytest.raises(ending):
        approve(settings, FIRST, "Ada", dry_run=False)
    assert not (candidate.folder / permission.APPROVAL).exists()


def test_the_evidence_is_the_verdict_and_answers_that_differ_first(settings: Settings, candidate: Generation):
    answered(candidate, same=("right", "right"), better=("right", "wrong"), words=("wrong a", "wrong b"))
    seen = evidence(settings, FIRST, 2)
    assert seen["verdict"]["outcome"] == "pass"
    assert [row["id"] for row in seen["answers"]] == ["better", "words"]
    assert (seen["answers"][0]["first"]["passed"], seen["answers"][0]["second"]["passed"]) == (False, True)


def test_approval_is_for_the_one_that_waits_not_for_the_one_trained_last(settings: Settings, candidate: Generation):
    with pytest.raises(AwaitingApproval):
        try_to_deploy(settings)
    make(settings, SECOND)
    assert evidence(settings, None, 0)["candidate"] == FIRST


def test_what_serves_needs_no_approval(settings: Settings, candidate: Generation):
    promote(settings, FIRST)
    with pytest.raises(NothingToDo):
        approve(settings, FIRST, "Ada", dry_run=False)
    with pytest.raises(NothingToDo):
        reject(settings, FIRST, "Ada", "", dry_run=False)


def test_nothing_is_deployed_over_a_pinned_incumbent(settings: Settings, candidate: Generation):
    approve(settings, FIRST, "Ada", dry_run=False)
    pins.pin(settings.layout, "base")
    with pytest.raises(Refused, match="base is current and pinned") as caught:
        try_to_deploy(settings)
    assert "nightschool versions unpin base" in caught.value.hint
    pins.unpin(settings.layout, "base")
    pins.pin(settings.layout, FIRST)
    assert would_be_deployed(settings)
