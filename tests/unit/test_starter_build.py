import shutil
from pathlib import Path

import handmade
import numpy
import pytest
from safetensors.numpy import save_file

from pipeline.starter.build import build


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
