"""A night that ends with a candidate awaiting approval says so, to people and in its log."""

import os
import subprocess
from pathlib import Path

import pytest
from handmade import FIRST, make, make_settings

from pipeline.lib import runs
from pipeline.lib.errors import AwaitingApproval, Inconclusive, NightschoolError
from pipeline.notify import compose

REPOSITORY = Path(__file__).resolve().parents[2]
ENDINGS = [
    (AwaitingApproval(f"{FIRST}: awaiting approval until 2026-11-21 14:00 UTC"), "awaiting approval", "approve`"),
    (Inconclusive(f"{FIRST}: too little evidence either way"), "too little evidence", "nightschool report"),
]


@pytest.mark.parametrize(("ending", "title", "step"), ENDINGS)
def test_the_message_tells_a_candidate_that_waits_from_one_with_too_little_evidence(
    tmp_path: Path, ending: NightschoolError, title: str, step: str
):
    settings = make_settings(tmp_path)
    make(settings, FIRST)
    with pytest.raises(type(ending)), runs.recorded(settings.layout, FIRST, "deploy"):
        raise ending
    message = compose(settings, FIRST, runs.of_night(settings.layout, FIRST))
    assert title in message.title
    assert step in message.next_step
    assert message.good


@pytest.mark.parametrize(("ending", "title", "step"), ENDINGS)
def test_the_wrapper_tells_a_candidate_that_waits_from_one_with_too_little_evidence(
    tmp_path: Path, ending: NightschoolError, title: str, step: str
):
    program = tmp_path / "nightschool"
    program.write_text(f'#!/bin/sh\n[ "$1" != deploy ] || {{ echo "{ending}" >&2; exit 21; }}\n')
    program.chmod(0o755)
    done = subprocess.run(
        [REPOSITORY / "cron" / "nightly_improvement.sh"],
        env={**os.environ, "NIGHTSCHOOL": str(program), "NIGHTSCHOOL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 21
    last = done.stdout.splitlines()[-1]
    assert ("awaiting approval" in last, "inconclusive" in last) == (
        isinstance(ending, AwaitingApproval),
        isinstance(ending, Inconclusive),
    )
