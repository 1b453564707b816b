"""A night in the words that matter: its outcome, the numbers, the next step."""

from pathlib import Path

import pytest
from handmade import FIRST, SECOND, THIRD, make, make_settings
from nights import DOWN, played, told, verdict

from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.errors import (
    AwaitingApproval,
    BusyError,
    Inconclusive,
    NightschoolError,
    NothingToDo,
    Refused,
    RolledBack,
)
from pipeline.lib.files import write_json


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def judged(settings: Settings) -> Settings:
    write_json(make(settings, FIRST).folder / generations.VERDICT, verdict(0.514, 0.787))
    return settings


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


@pytest.mark.parametrize(
    ("stage", "title"),
    [("rollback", "rolled back by hand: serving base again"), ("doctor", "failed: the night ended after doctor")],
)
def test_what_was_done_by_hand_is_not_told_as_the_row_of_the_nights_before(settings: Settings, stage: str, title: str):
    for run in (FIRST, SECOND):
        played(settings, run, "deploy", ending=RolledBack("slow"))
    played(settings, "20261119T080000Z", stage)
    played(settings, THIRD, stage)
    assert told(settings, THIRD).title.startswith(title)
