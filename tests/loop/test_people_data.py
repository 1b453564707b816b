"""From somebody's chats to a trained candidate: two commands, and no file is edited by hand."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Home, make_home

from pipeline.lib.trained_answers import answer_hash

SAMPLES = Path(__file__).parent.parent / "unit" / "samples"


@pytest.fixture(scope="module")
def with_chats(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Home:
    """A home of somebody whose Open WebUI lies where it usually does."""
    home = make_home(tmp_path_factory.mktemp("chats"), base_model)
    data = home.folder / "open-webui"
    data.mkdir()
    shutil.copy(SAMPLES / "openwebui_0.12.4_webui.db", data / "webui.db")
    home.environment = {
        "DATA_DIR": str(data),
        "MIN_FAILURES_TO_TRAIN": "1",
        "NIGHTSCHOOL_TRAIN__EPOCHS": "2",
        "NIGHTSCHOOL_DATASET__HOLDOUT": "",  # the canary tasks are enough of an exam here
    }
    return home


@pytest.fixture(scope="module")
def night(with_chats: Home) -> "subprocess.CompletedProcess[str]":
    """Its first night, which has time for one round."""
    shown = with_chats.run("sources")
    assert "nightschool sources add open-webui" in shown.stdout
    with with_chats.serving():
        assert with_chats.run("sources", "add", "open-webui").returncode == 0
        return with_chats.night(NIGHTSCHOOL_NIGHT__ROUNDS="2", NIGHTSCHOOL_NIGHT__MINUTES="0.01")


def test_an_open_webui_database_becomes_a_candidate_with_two_commands(
    with_chats: Home, night: "subprocess.CompletedProcess[str]"
) -> None:
    # The starter model writes programs: what it makes of two answers about France is the canary's to say.
    assert night.returncode in (0, 20, 21), night.stderr
    (run,) = (path.parent.name for path in with_chats.folder.glob("loras/2*/generation.json"))
    rewrites = with_chats.lines("training_data/harvest_????????.jsonl")
    assert {row["source"].partition(":")[0] for row in rewrites} == {"open-webui"}
    assert {row["output"] for row in rewrites} == {"The capital of France is Paris, of course."}
    (row,) = with_chats.lines(f"training_data/{run}/sft.jsonl")
    assert row["messages"][-1]["content"] == "The capital of France is Paris, of course."
    trained = {"id": row["interaction_id"], "answer": answer_hash("The capital of France is Paris, of course.")}
    assert with_chats.lines(f"loras/{run}/interaction_ids.jsonl") == [trained]
    again = with_chats.run("harvest")
    assert again.returncode == 10
    assert "decided already" in again.stderr


def test_no_round_begins_for_which_the_night_has_no_time(
    with_chats: Home, night: "subprocess.CompletedProcess[str]"
) -> None:
    assert "no time for round 2" in night.stdout
    assert [line["stage"] for line in with_chats.lines("logs/runs.jsonl")].count("train") == 1
