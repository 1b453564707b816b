import shutil
from pathlib import Path

import handmade
import numpy
import pytest
from safetensors.numpy import save_file

from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, UsageError
from pipeline.lib.files import write_json
from pipeline.starter.build import build, to_gguf

HUB = {"base": "somebody/model"}


def test_a_new_base_takes_the_old_one_away_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def quick(folder: Path) -> dict[str, object]:
        save_file({"weight": numpy.ones(3, dtype=numpy.float32)}, folder / "model.safetensors")
        return {"parameters": 3, "loss": 0.0, "seconds": 0.0}

    monkeypatch.setattr("pipeline.starter.base_model.train_base", quick)
    settings = handmade.make_settings(tmp_path)
    shutil.rmtree(settings.base_folder)
    old = Path(settings.base_folder).with_suffix(".gguf")
    old.write_text("weights of an earlier recipe")
    assert build(settings, force=False)["built"]
    assert not old.exists()
    old.write_text("its own")
    assert not build(settings, force=False)["built"]
    assert old.exists()
    assert build(settings, force=True)["built"]
    assert not old.exists()


def test_the_starter_never_takes_the_place_of_a_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.starter.base_model.train_base", lambda folder: {})
    for make in (lambda settings: build(settings, force=True), to_gguf):
        with pytest.raises(UsageError, match="somebody/model"):
            make(Settings(home=tmp_path, model=HUB))
    assert list(tmp_path.iterdir()) == []


def test_the_starter_is_proposed_only_where_it_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    bases = {"models/starter": "starter build", "models": "model.base names another", "somebody/model": "hf download"}
    for base, hint in bases.items():
        settings = Settings(home=tmp_path, model={"base": base})
        with pytest.raises(ConfigurationError, match="no base model at") as raised:
            base_sha256(settings.base_folder)
        assert hint in raised.value.hint
        assert ("starter build" in raised.value.hint) == (base == "models/starter")


def test_the_old_base_stays_until_the_new_one_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(folder: Path) -> dict[str, object]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("pipeline.starter.base_model.train_base", fail)
    settings = handmade.make_settings(tmp_path)
    folder = Path(settings.base_folder)
    write_json(folder / "starter.json", {"recipe": {}, "sha256": ""})
    folder.with_suffix(".gguf").write_text("its weights")
    with pytest.raises(RuntimeError):
        build(settings, force=False)
    assert (folder / "model.safetensors").read_bytes() == b"starter"
    assert folder.with_suffix(".gguf").exists()
