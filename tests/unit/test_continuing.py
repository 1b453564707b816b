import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import candidates
import pytest

from pipeline.backends.trainers.interface import Job, Result
from pipeline.backends.trainers.presets import ATTENTION
from pipeline.lib import exclusions, jsonl
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, UsageError
from pipeline.lib.files import point
from pipeline.lib.generations import ADAPTER_FILE
from pipeline.lib.trained_answers import answer_hash, taught
from pipeline.train import train

RUN, LAST, OTHER = "20260103T000000Z", "20260101T000000Z", "20260102T000000Z"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two generations, of which the first is current, and a dataset."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"weights")
    made = Settings(home=tmp_path, model={"base": str(base)}, night={"minimum_disk_gb": 0})
    generation(made, LAST, ["a"])
    generation(made, OTHER, ["b"])
    point(made.layout.current, LAST)
    candidates.write_table(tmp_path, RUN, "sft.jsonl", [row("c")])
    return made


def row(identity: str, answer: str = "right") -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": answer}], "interaction_id": identity}


def generation(
    settings: Settings, run: str, ids: list[str], rank: int = 16, layers: Sequence[str] = (*ATTENTION, "up_proj")
) -> None:
    """Its manifest says what the recipe wanted, the adapter's own configuration what there is."""
    folder = settings.layout.generation(run)
    folder.mkdir(parents=True)
    config = {"rank": 16, "alpha": 32, "targets": "all-linear"}
    manifest = {"id": run, "base": {"sha256": base_sha256(settings.base_folder)}, "config": config, "sha256": {}}
    (folder / "interaction_ids.jsonl").write_text("".join(json.dumps({"id": each}) + "\n" for each in ids))
    written = {"r": rank, "lora_alpha": 32, "target_modules": list(layers)}
    (folder / "adapter_config.json").write_text(json.dumps(written))
    (folder / "generation.json").write_text(json.dumps(manifest))


def begins(settings: Settings, start: str | None = None) -> Any:
    return train(settings, RUN, dry_run=True, show_progress=False, start=start)["start"]


def test_a_training_goes_on_from_what_is_current_or_from_what_it_is_told(settings: Settings):
    assert begins(settings) == LAST
    assert begins(settings, OTHER) == OTHER
    assert begins(settings, "base") == "base"


def test_a_preset_that_does_not_continue_begins_at_the_base(settings: Settings):
    assert begins(with_preset(settings, "council"), OTHER) == "base"


def test_weights_that_were_taught_what_was_revoked_are_not_gone_on_from(settings: Settings):
    exclusions.record(settings.layout, "revoke", None, "a", "asked for it")
    assert begins(settings) == "base"
    assert begins(settings, OTHER) == OTHER


def test_so_it_is_with_everything_that_a_revoked_person_gave(settings: Settings):
    provenance = json.dumps({"interaction_id": "a", "user": "anna"}) + "\n"
    (settings.layout.dataset(RUN) / "provenance.jsonl").write_text(provenance)
    exclusions.record(settings.layout, "revoke", "anna", None, "asked for it")
    assert begins(settings) == "base"
    exclusions.record(settings.layout, "release", "anna", None, "back again")
    assert begins(settings) == LAST


def test_an_adapter_of_another_size_is_not_gone_on_from(settings: Settings):
    generation(settings, "20260102T000001Z", [], rank=8)
    assert begins(settings, "20260102T000001Z") == "base"


def with_preset(settings: Settings, preset: str) -> Settings:
    return settings.model_copy(update={"train": settings.train.model_copy(update={"preset": preset})})


@pytest.mark.parametrize("prefix", ["", "model.layers.0.self_attn."], ids=["kinds of layers", "each layer in full"])
def test_all_linear_layers_are_not_trained_on_from_an_adapter_of_the_attention_only(settings: Settings, prefix: str):
    council, whole = "20260102T000001Z", "20260102T000002Z"
    generation(settings, council, [], layers=[prefix + each for each in ATTENTION])
    generation(settings, whole, [], layers=[*(prefix + each for each in ATTENTION), "model.layers.0.mlp.up_proj"])
    assert begins(settings, council) == "base"
    assert begins(settings, whole) == whole
    assert begins(with_preset(settings, "evening"), council) == council


def test_an_adapter_of_more_layers_than_the_preset_asks_for_keeps_them_and_the_recipe_says_so(settings: Settings):
    done = train(with_preset(settings, "evening"), RUN, dry_run=True, show_progress=False)
    assert (done["start"], done["recipe"]["targets"]) == (LAST, tuple(sorted([*ATTENTION, "up_proj"])))


def test_a_start_that_does_not_exist_is_one_clear_error(settings: Settings):
    with pytest.raises(NightschoolError, match="20200101T000000Z"):
        begins(settings, "20200101T000000Z")


class Asked:
    """In a trainer's place: remembers what it was told, and trains nothing."""

    job: Job

    def train(self, job: Job) -> Any:
        self.job = job
        raise NightschoolError("enough")


def told(settings: Settings, origins: dict[str, str]) -> None:
    """The dataset's provenance."""
    lines = [{"interaction_id": each, "origin": origin} for each, origin in origins.items()]
    jsonl.write(settings.layout.dataset(RUN) / "provenance.jsonl", lines)


@pytest.mark.parametrize(
    ("origins", "new", "known"),
    [({"a": "rewrite", "c": "rewrite", "g": "replay"}, {"c"}, {"a"}), ({}, set(), set())],
    ids=["what the incumbent has not learned is new", "of a dataset that does not say so nothing is known"],
)
def test_the_trainer_is_told_what_is_new(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, origins: dict[str, str], new: set[str], known: set[str]
):
    asked = Asked()
    monkeypatch.setattr("pipeline.train.choice.trainer", lambda method: asked)
    if origins:
        told(settings, origins)
    with pytest.raises(NightschoolError, match="enough"):
        train(settings, RUN, dry_run=False, show_progress=False)
    assert (asked.job.new, asked.job.known) == (new, known)


def test_a_better_answer_to_what_the_incumbent_was_taught_is_new(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    asked = Asked()
    monkeypatch.setattr("pipeline.train.choice.trainer", lambda method: asked)
    lines = [{"id": "a", "answer": answer_hash("liked")}, {"id": "b", "answer": answer_hash("right")}]
    jsonl.write(settings.layout.generation(LAST) / "interaction_ids.jsonl", lines)
    candidates.write_table(settings.home, RUN, "sft.jsonl", [row("a", "edited"), row("b")])
    told(settings, {"a": "rewrite", "b": "rewrite"})
    with pytest.raises(NightschoolError, match="enough"):
        train(settings, RUN, dry_run=False, show_progress=False)
    assert (asked.job.new, asked.job.known) == ({"a"}, {"b"})


@pytest.mark.parametrize("action", ["revoke", "quarantine"])
def test_a_dataset_with_rows_that_were_taken_back_since_is_refused(settings: Settings, action: exclusions.Action):
    provenance = [{"interaction_id": "c", "user": "anna", "origin": "rewrite"}]
    jsonl.write(settings.layout.dataset(RUN) / "provenance.jsonl", provenance)
    exclusions.record(settings.layout, action, "ben", None, "asked for it")
    assert begins(settings) == LAST
    exclusions.record(settings.layout, action, "anna", None, "asked for it")
    with pytest.raises(UsageError, match=r"revoked or is in quarantine \(1 interactions\)"):
        begins(settings)


class Interrupted(Asked):
    """In a trainer's place: is killed after its first checkpoint."""

    def train(self, job: Job) -> Any:
        (job.work / "checkpoint-1").mkdir(parents=True, exist_ok=True)
        return super().train(job)


@pytest.mark.parametrize("change", ["nothing", "start", "recipe", "rows", "what is new"])
def test_only_a_training_that_began_the_same_goes_on_from_a_checkpoint(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: str
):
    trainer = Interrupted()
    monkeypatch.setattr("pipeline.train.choice.trainer", lambda method: trainer)
    told(settings, {"c": "rewrite"})

    def interrupted(**more: Any) -> Path:
        with pytest.raises(NightschoolError, match="enough"):
            train(settings.model_copy(update=more), RUN, dry_run=False, show_progress=False)
        return trainer.job.work

    first, more = interrupted(), {}
    if change == "start":
        point(settings.layout.current, OTHER)
    elif change == "recipe":
        more = {"train": settings.train.model_copy(update={"learning_rate": 1e-4})}
    elif change == "rows":
        candidates.write_table(settings.home, RUN, "sft.jsonl", [row("c", "better")])
    elif change == "what is new":
        told(settings, {"c": "replay"})
    second = interrupted(**more)
    assert (first == second) == (change == "nothing")
    assert list(settings.layout.loras.glob(".*.work")) == [second]


class Trained:
    """In a trainer's place: has learned every row."""

    def train(self, job: Job) -> Result:
        job.output.mkdir(parents=True)
        (job.output / ADAPTER_FILE).write_bytes(b"tensors")
        return Result({"steps": 1, "loss": 0.1}, [], {}, {each["interaction_id"] for each in job.rows})


def test_a_generation_says_which_answers_it_and_its_start_were_taught(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.train.choice.trainer", lambda method: Trained())
    candidates.write_table(settings.home, RUN, "sft.jsonl", [row("c"), row("d", "liked")])
    train(settings, RUN, dry_run=False, show_progress=False)
    assert list(jsonl.read(settings.layout.generation(RUN) / "interaction_ids.jsonl")) == [
        {"id": "a"},
        {"id": "c", "answer": answer_hash("right")},
        {"id": "d", "answer": answer_hash("liked")},
    ]


@pytest.mark.parametrize("interaction", ["c", "a"], ids=["a row", "what its start was taught"])
def test_what_was_taken_back_during_a_training_is_not_in_a_generation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, interaction: str
):
    class Slow(Trained):
        def train(self, job: Job) -> Result:
            exclusions.record(settings.layout, "revoke", None, interaction, "asked for it")
            return super().train(job)

    monkeypatch.setattr("pipeline.train.choice.trainer", lambda method: Slow())
    with pytest.raises(UsageError, match="revoked"):
        train(settings, RUN, dry_run=False, show_progress=False)
    assert not settings.layout.generation(RUN).exists()
    assert not list(settings.layout.loras.glob(f".{RUN}*"))


def test_only_good_answers_are_written_down_as_taught():
    def said(answer: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": answer}]

    pair = {"prompt": [], "chosen": said("4"), "rejected": said("5"), "interaction_id": "a"}
    alone = [
        {"completion": said(answer), "label": label, "interaction_id": "b"}
        for answer, label in (("4", True), ("5", False))
    ]
    assert taught([pair, *alone]) == {"a": answer_hash("4"), "b": answer_hash("4")}
