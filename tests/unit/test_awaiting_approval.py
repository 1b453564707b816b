"""A night that ends with a candidate awaiting approval says so in its log."""

import os
import subprocess
from pathlib import Path

import pytest
from handmade import FIRST

from pipeline.lib.errors import AwaitingApproval, Inconclusive, NightschoolError

REPOSITORY = Path(__file__).resolve().parents[2]
ENDINGS = [
    AwaitingApproval(f"{FIRST}: awaiting approval until 2026-11-21 14:00 UTC"),
    Inconclusive(f"{FIRST}: too little evidence either way"),
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_wrapper_tells_a_candidate_that_waits_from_one_with_too_little_evidence(
    tmp_path: Path, ending: NightschoolError
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
