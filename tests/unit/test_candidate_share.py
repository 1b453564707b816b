"""A candidate on trial gets its share of the people, and each person always the same version."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gateway.share import CandidateShare
from pipeline.lib.config import load
from pipeline.lib.errors import ConfigurationError


@given(st.text(min_size=1), st.floats(0.01, 0.5))
def test_a_person_stays_with_one_version(person: str, share: float):
    trial = CandidateShare("new", share)
    assert len({trial.choose("old", person) for _ in range(5)}) == 1


@pytest.mark.parametrize("known", [True, False])
def test_the_candidate_gets_about_its_share(known: bool):
    trial = CandidateShare("new", 0.1)
    chosen = [trial.choose("old", f"person {number}" if known else None) for number in range(5000)]
    assert 400 < chosen.count("new") < 600


def test_without_a_trial_everybody_has_the_active_version():
    assert CandidateShare().choose("old", "somebody") == "old"


def test_a_trial_ends_by_itself_when_nobody_is_left_to_end_it(monkeypatch: pytest.MonkeyPatch):
    trial = CandidateShare()
    trial.begin("new", 1.0, seconds=90)
    assert trial.choose("old", "somebody") == "new"
    later = time.monotonic() + 91
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert trial.choose("old", "somebody") == "old"


@pytest.mark.parametrize(("written", "meant"), [("5%", 0.05), ("0.05", 0.05), ("0", 0.0)])
def test_a_share_may_be_written_in_percent(tmp_path, written: str, meant: float):
    assert load(tmp_path, {"deploy.candidate_share": written}).deploy.candidate_share == meant


@pytest.mark.parametrize("written", ["60%", "-1", "%", "half"])
def test_a_share_that_is_none_is_refused(tmp_path, written: str):
    with pytest.raises(ConfigurationError, match="candidate_share"):
        load(tmp_path, {"deploy.candidate_share": written})
