"""Which rows each method of training takes, and what it does when there are none; without any training."""

from pathlib import Path
from typing import Any, get_args

import candidates
import pytest
from conftest import Home
from handmade import make_settings

from pipeline.backends.trainers import choice
from pipeline.backends.trainers.dpo import DpoTrainer
from pipeline.backends.trainers.kto import KtoTrainer
from pipeline.backends.trainers.sft import SftTrainer
from pipeline.lib.config import load
from pipeline.lib.errors import ConfigurationError, NothingToDo, UsageError
from pipeline.lib.sections import Train
from pipeline.train import train

RUN = "20261120T020000Z"
ASKED = [{"role": "user", "content": "2 + 2?"}]


def said(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}]


def labelled(label: bool, answer: str = "4") -> dict[str, Any]:
    return {"prompt": ASKED, "completion": said(answer), "label": label, "interaction_id": "a"}


def dry(home: Path, method: str) -> dict[str, Any]:
    return train(make_settings(home, train={"method": method}), RUN, dry_run=True, show_progress=False)


def test_every_method_that_the_settings_allow_has_its_table_and_its_trainer():
    allowed = get_args(Train.model_fields["method"].annotation)
    assert set(allowed) == set(choice.TABLES) == set(choice.TRAINERS)
    assert [type(choice.trainer(method)) for method in ("sft", "dpo", "kto")] == [SftTrainer, DpoTrainer, KtoTrainer]


@pytest.mark.parametrize(
    ("chosen", "rejected", "kept"),
    [("4", "5", True), ("4", "", True), ("4", "4", False), ("", "5", False), (" \n", "5", False)],
)
def test_a_pair_of_equal_answers_or_without_a_better_one_is_no_pair(chosen: str, rejected: str, kept: bool):
    row = {"prompt": ASKED, "chosen": said(chosen), "rejected": said(rejected), "interaction_id": "a"}
    prepared = DpoTrainer().prepare(row)
    assert (prepared is not None) == kept
    assert prepared is None or set(prepared) == {"prompt", "chosen", "rejected"}


@pytest.mark.parametrize(("label", "answer", "kept"), [(True, "4", True), (True, " ", False), (False, "", True)])
def test_saying_nothing_is_never_good_but_may_be_bad(label: bool, answer: str, kept: bool):
    assert (KtoTrainer().prepare(labelled(label, answer)) is not None) == kept


def test_an_answer_counts_as_far_as_it_has_room_and_not_at_all_where_one_of_two_has_none():
    pair = {"prompt_ids": [1, 2], "chosen_ids": [3] * 9, "rejected_ids": [4]}
    assert DpoTrainer().supervised_tokens(pair, max_length=7) == 5 + 1
    assert DpoTrainer().supervised_tokens({**pair, "rejected_ids": []}, max_length=7) == 0
    assert KtoTrainer().supervised_tokens({"prompt_ids": [1, 2], "completion_ids": [3] * 9}, max_length=7) == 5
    assert SftTrainer().supervised_tokens({"labels": [-100, -100, 3, 4]}, max_length=7) == 2


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_dataset_without_rows_for_the_method_is_nothing_to_do(tmp_path: Path, method: str):
    candidates.write_table(tmp_path, RUN, choice.TABLES[method], [])
    with pytest.raises(NothingToDo, match=f"no rows for {method}"):
        dry(tmp_path, method)


@pytest.mark.parametrize("label", [True, False])
def test_kto_with_answers_of_one_kind_is_nothing_to_do(tmp_path: Path, label: bool):
    candidates.write_table(tmp_path, RUN, "unpaired.jsonl", [labelled(label)] * 3)
    with pytest.raises(NothingToDo, match="of one kind"):
        dry(tmp_path, "kto")


def test_the_table_of_the_method_is_the_one_whose_hash_must_agree(tmp_path: Path):
    candidates.write_table(tmp_path, RUN, "sft.jsonl", [])
    candidates.write_table(tmp_path, RUN, "unpaired.jsonl", [labelled(True), labelled(False)])
    with (tmp_path / "training_data" / RUN / "sft.jsonl").open("a") as file:
        file.write("{}\n")
    assert dry(tmp_path, "kto")["rows"] == 2
    with pytest.raises(UsageError, match=r"sft\.jsonl has changed"):
        dry(tmp_path, "sft")
    with pytest.raises(UsageError, match=r"without preferences\.jsonl"):
        dry(tmp_path, "dpo")


def test_the_flag_comes_before_the_setting(tmp_path: Path):
    make_settings(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "nightschool.toml").write_text('[train]\nmethod = "dpo"\n')
    candidates.write_table(tmp_path, RUN, "unpaired.jsonl", [labelled(True), labelled(False)])
    home = Home(tmp_path)
    assert home.result("train", "--method", "kto", "--run", RUN, "--dry-run")["recipe"]["method"] == "kto"
    done = home.run("train", "--run", RUN, "--dry-run")
    assert done.returncode == 64
    assert "preferences.jsonl" in done.stderr


def test_a_method_that_there_is_none_of_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"train\.method"):
        load(tmp_path, {"train.method": "ppo"})
