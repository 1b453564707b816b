"""DPO and KTO for real: weights change, better answers become likelier than worse ones, kills cost nothing."""

import json
import math
from pathlib import Path
from typing import Any

import candidates
import pytest
from conftest import Home, make_home, wait_for

from pipeline.lib.quiet import quiet_libraries

WHOLE, KILLED, UNPAIRED = (f"2030050{day}T000000Z" for day in range(1, 4))
FEW = ("--set", "train.epochs=6", "--set", "train.save_every=2")
USABLE = 64


@pytest.fixture(scope="module")
def pairs() -> list[dict[str, Any]]:
    """Pairs to learn from, one of two equal answers, and one whose prompt leaves no room for an answer."""
    rows = candidates.preferences(candidates.tasks_of("methods", USABLE + 2, (1, 2)))
    rows[-2]["rejected"] = rows[-2]["chosen"]
    rows[-1]["prompt"] = [{"role": "user", "content": "x = 1 + 1 " * 2000}]
    return rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base_model: Path, pairs: list[dict[str, Any]]) -> Home:
    """An installation with a generation by DPO and one by KTO, which continues it."""
    home = make_home(tmp_path_factory.mktemp("methods"), base_model)
    for run in (WHOLE, KILLED):
        candidates.write_table(home.folder, run, "preferences.jsonl", pairs)
    candidates.write_table(home.folder, UNPAIRED, "unpaired.jsonl", candidates.unpaired(pairs))
    succeeded(home.run(*FEW, "train", "--method", "dpo", "--run", WHOLE))
    (home.folder / "loras" / "current").symlink_to(WHOLE)
    evening = ("--set", "train.preset=evening", "--set", "train.batch_size=16", "--set", "train.learning_rate=3e-4")
    succeeded(home.run(*evening, *FEW, "--set", "train.method=kto", "train", "--run", UNPAIRED))
    return home


def succeeded(done: Any) -> None:
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def manifest(home: Home, run: str) -> dict[str, Any]:
    return json.loads((home.folder / "loras" / run / "generation.json").read_text())


def margin(base: Path, adapter: Path | None, pairs: list[dict[str, Any]]) -> float:
    """How much likelier the better answers are than the worse ones, in nats for a pair."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_libraries()
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = (PeftModel.from_pretrained(model, str(adapter)) if adapter else model).eval()

    def likelihood(prompt: list[dict[str, str]], answer: list[dict[str, str]]) -> float:
        asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        whole = tokenizer.apply_chat_template([*prompt, *answer], tokenize=False)
        begin = len(tokenizer(asked, add_special_tokens=False)["input_ids"])
        tokens = torch.tensor([tokenizer(whole, add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            likely = model(input_ids=tokens).logits[0, :-1].log_softmax(-1)
        return float(likely.gather(1, tokens[0, 1:, None])[begin - 1 :].sum())

    differences = [likelihood(p["prompt"], p["chosen"]) - likelihood(p["prompt"], p["rejected"]) for p in pairs]
    return sum(differences) / len(differences)


def test_better_answers_become_likelier_than_worse_ones(
    trained: Home, base_model: Path, pairs: list[dict[str, Any]]
) -> None:
    unseen = candidates.preferences(candidates.tasks_of("unseen", 32, (1, 2)))
    for questions in (pairs[:USABLE], unseen):
        base, by_dpo, by_kto = (
            margin(base_model, adapter, questions)
            for adapter in (None, trained.folder / "loras" / WHOLE, trained.folder / "loras" / UNPAIRED)
        )
        assert base < by_dpo < by_kto


@pytest.mark.parametrize(
    ("run", "method", "table", "rows", "refused"),
    [
        (WHOLE, "dpo", "preferences.jsonl", USABLE, 2),
        # Alone, each of two equal answers has something to teach; without room for it none has.
        (UNPAIRED, "kto", "unpaired.jsonl", 2 * USABLE + 2, 2),
    ],
)
def test_the_manifest_says_by_which_method_and_from_which_rows(
    trained: Home, run: str, method: str, table: str, rows: int, refused: int
) -> None:
    said = manifest(trained, run)
    assert (said["config"]["method"], said["config"]["beta"]) == (method, 0.1)
    assert (said["dataset"]["table"], said["dataset"]["rows"]) == (table, rows + refused)
    assert (said["metrics"]["rows"], said["metrics"]["refused_rows"]) == (rows, refused)
    assert said["metrics"]["supervised_tokens"] > rows
    assert said["metrics"]["steps"] > 0
    curve = trained.lines(f"loras/{run}/training_curve.jsonl")
    assert all(math.isfinite(value) for point in curve for value in point.values())
    assert {"loss", "rewards/margins"} <= set(curve[0])


def test_the_interactions_are_those_whose_rows_were_trained_on(trained: Home) -> None:
    ids = {run: {row["id"] for row in trained.lines(f"loras/{run}/interaction_ids.jsonl")} for run in (WHOLE, UNPAIRED)}
    assert ids[WHOLE] == {f"{number:024x}" for number in range(USABLE)}
    assert ids[UNPAIRED] == {f"{number:024x}" for number in range(USABLE + 1)}


def test_a_continued_adapter_is_one_adapter(trained: Home) -> None:
    folder = trained.folder / "loras" / UNPAIRED
    assert (manifest(trained, UNPAIRED)["parent"], manifest(trained, UNPAIRED)["continues"]) == (WHOLE, True)
    assert [path.name for path in folder.rglob("*.safetensors")] == ["adapter_model.safetensors"]
    assert not any(path.is_dir() for path in folder.iterdir())


def test_a_killed_training_goes_on_from_its_checkpoint_and_ends_the_same(trained: Home) -> None:
    command = (*FEW, "train", "--method", "dpo", "--start", "base", "--run", KILLED)
    training = trained.start(*command)
    loras, saved = trained.folder / "loras", f".{KILLED}.dpo.*.work/checkpoint-*/trainer_state.json"
    wait_for(lambda: training.poll() is not None or any(loras.glob(saved)), 120)
    assert training.poll() is None, "the training ended before it could be killed"
    training.kill()
    training.communicate()
    done = trained.run(*command)
    succeeded(done)
    assert "going on from checkpoint-" in done.stderr
    hashes = [manifest(trained, run)["sha256"]["adapter_model.safetensors"] for run in (WHOLE, KILLED)]
    assert hashes[0] == hashes[1]
