"""The rounds of a night, as the wrapper plays them: how many, and what becomes of one that fails."""

from pathlib import Path

import pytest
from short_nights import Nights

LEARNING = ["harvest", "build-dataset", "train"]


def stages(nights: Nights) -> list[str]:
    """What the wrapper played, up to the deployment."""
    played = [call.split()[0] for call in nights.calls if not call.endswith("is over")]
    return [each for each in played if each in (*LEARNING, "canary", "deploy")]


def play(nights: Nights) -> tuple[int, str]:
    with nights.wrapper() as process:
        said, _ = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize(("that_find_something", "played"), [(1, 1), (2, 2), (9, 4)])
def test_rounds_go_on_as_long_as_they_bring_something(tmp_path: Path, that_find_something: int, played: int):
    nights = Nights(tmp_path)
    nights.rounds(4, that_find_something)
    assert play(nights)[0] == 0
    in_vain = ["harvest"] if played < 4 else []
    assert stages(nights) == [*LEARNING * played, *in_vain, "canary", "deploy"]


@pytest.mark.parametrize("failing", ["harvest", "train"])
def test_a_round_that_fails_does_not_take_what_was_learned_before_it(tmp_path: Path, failing: str):
    nights = Nights(tmp_path)
    nights.rounds(3, 3)
    nights.ends_later(failing, 70)
    code, said = play(nights)
    assert code == 0
    assert "round 2 ended with 70; what was learned before it goes on" in said
    assert stages(nights) == [*LEARNING, *LEARNING[: LEARNING.index(failing) + 1], "canary", "deploy"]
