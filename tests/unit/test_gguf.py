"""Adapters whose layers have scales of their own must not lose them on the way to GGUF."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import nn

from pipeline.backends.engines.gguf import bake_scales, convert_adapter
from pipeline.backends.engines.interface import EngineError
from pipeline.lib.errors import ConfigurationError

LAYERS = st.sampled_from(["first", "block.first", "second"])
CONFIGURATIONS = st.fixed_dictionaries(
    {
        "r": st.integers(1, 8),
        "lora_alpha": st.integers(1, 32),
        "use_rslora": st.booleans(),
        "alpha_pattern": st.dictionaries(
            st.sampled_from(["first", "block.first", "second"]), st.integers(1, 32), max_size=2
        ),
        "rank_pattern": st.dictionaries(st.sampled_from(["first", "second"]), st.integers(1, 8)),
    }
)


def network() -> Any:
    return nn.ModuleDict(
        {"first": nn.Linear(6, 5), "block": nn.ModuleDict({"first": nn.Linear(6, 5)}), "second": nn.Linear(6, 5)}
    )


def saved(folder: Path, **configuration: Any) -> Any:
    """An adapter as peft writes it; returns the model that peft makes of it."""
    config = LoraConfig(target_modules=["first", "second"], init_lora_weights=False, **configuration)
    get_peft_model(network(), config).save_pretrained(str(folder))
    return PeftModel.from_pretrained(network(), str(folder))


@settings(max_examples=25)
@given(CONFIGURATIONS)
def test_every_layer_does_after_baking_what_peft_says_it_does(
    tmp_path_factory: pytest.TempPathFactory, configuration: dict[str, Any]
) -> None:
    source, target = tmp_path_factory.mktemp("adapter"), tmp_path_factory.mktemp("baked")
    model = saved(source, **configuration)
    bake_scales(source, target)
    baked = json.loads((target / "adapter_config.json").read_text())
    tensors = load_file(target / "adapter_model.safetensors")
    for name, layer in model.named_modules():
        if not hasattr(layer, "get_delta_weight"):
            continue
        low, high = (tensors[f"{name}.lora_{side}.weight"] for side in "AB")
        scale = baked["lora_alpha"] / low.shape[0]  # the only one that the converter and llama.cpp know
        torch.testing.assert_close(scale * high @ low, layer.get_delta_weight("default").detach())
    assert not (baked["use_rslora"] or baked["alpha_pattern"] or baked["rank_pattern"])


@pytest.mark.parametrize("extra", [{"use_dora": True}, {"modules_to_save": ["second"]}])
def test_what_gguf_cannot_hold_is_refused(tmp_path: Path, extra: dict[str, Any]) -> None:
    saved(tmp_path, r=2, lora_alpha=4)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **extra}))
    with pytest.raises(EngineError, match=r"DoRA|modules_to_save"):
        bake_scales(tmp_path, tmp_path)


def test_a_missing_converter_is_named(tmp_path: Path) -> None:
    saved(tmp_path, r=2, lora_alpha=4)
    with pytest.raises(ConfigurationError, match="convert_lora_to_gguf"):
        convert_adapter(tmp_path, "base", tmp_path / "nowhere", tmp_path / "adapter.gguf")
    assert not (tmp_path / "adapter.gguf").exists()
