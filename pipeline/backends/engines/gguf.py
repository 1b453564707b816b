"""Adapters and base models as GGUF files, by llama.cpp's own converters.

The converter knows one scale for the whole adapter. rsLoRA and `alpha_pattern` give each layer its own and would be
converted "successfully" into wrong numbers, so the scales are first multiplied into the tensors.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.backends.engines.interface import EngineError
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.generations import ADAPTER_FILE

_CONFIG = "adapter_config.json"
_SECONDS = 600
# Replaces the table of known pre-tokenizers: a tokenizer trained at home is in no table.
_AS_PRE_TOKENIZER = """
import runpy, sys
script, name = sys.argv[1:3]
sys.argv = [script, *sys.argv[3:]]
sys.path.insert(0, script.rpartition("/")[0])
from conversion import base
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: name
runpy.run_path(script, run_name="__main__")
"""
_MERGE = """
import sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, target = sys.argv[1:4]
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(target)
AutoTokenizer.from_pretrained(base).save_pretrained(target)
"""


def require_converters(folder: Path) -> None:
    """Raises ConfigurationError when llama.cpp's converters are not there."""
    _script(folder, "convert_lora_to_gguf.py")


def convert_adapter(folder: Path, base: str, converters: Path, target: Path) -> None:
    """Write an adapter as GGUF (float32).

    Args:
        folder: the adapter as peft saved it.
        base: folder of the base model.
        converters: folder of llama.cpp, where `convert_lora_to_gguf.py` stands.
        target: the file to write.

    Raises:
        EngineError: the adapter has something that GGUF cannot hold.
        ConfigurationError: the converter is missing.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as baked:
        bake_scales(folder, Path(baked))
        unfinished = target.with_suffix(".unfinished")
        _run(_script(converters, "convert_lora_to_gguf.py"), "--base", base, "--outfile", unfinished, baked)
        unfinished.replace(target)


def convert_merged(folder: Path, base: str, converters: Path, target: Path) -> None:
    """Write the base model with the adapter merged into it as GGUF (float32). Arguments and errors as above."""
    with tempfile.TemporaryDirectory(dir=target.parent) as merged:
        _run("-c", _MERGE, base, folder, merged)
        convert_base(Path(merged), converters, target)


def convert_base(folder: Path, converters: Path, target: Path, pre_tokenizer: str | None = None) -> None:
    """Write a base model as GGUF (float32).

    Args:
        folder: the base model as transformers saved it.
        converters: as for `convert_adapter`.
        target: the file to write.
        pre_tokenizer: llama.cpp's name for the tokenizer's way to split words; none: the converter recognises it.

    Raises:
        EngineError, ConfigurationError: as for `convert_adapter`.
    """
    script = _script(converters, "convert_hf_to_gguf.py")
    prefix = [script] if pre_tokenizer is None else ["-c", _AS_PRE_TOKENIZER, script, pre_tokenizer]
    unfinished = target.with_suffix(".unfinished")
    _run(*prefix, "--outfile", unfinished, "--outtype", "f32", folder)
    unfinished.replace(target)


def bake_scales(source: Path, target: Path) -> None:
    """Write the same adapter with one scale (alpha / rank) for all layers.

    Raises:
        EngineError: DoRA, or whole modules saved beside the low-rank ones.
    """
    from safetensors.torch import load_file, save_file

    config: dict[str, Any] = json.loads((source / _CONFIG).read_text(encoding="utf-8"))
    for key, what in (("use_dora", "DoRA"), ("modules_to_save", "modules_to_save")):
        if config.get(key):
            raise EngineError(f"the adapter uses {what}, which GGUF adapters cannot hold", "train without it")
    tensors = load_file(source / ADAPTER_FILE)
    for name in [name for name in tensors if ".lora_B." in name]:
        rank = tensors[name].shape[1]
        tensors[name] = tensors[name] * (_scale(config, name, rank) * rank / config["lora_alpha"])
    plain = {**config, "use_rslora": False, "alpha_pattern": {}, "rank_pattern": {}}
    (target / _CONFIG).write_text(json.dumps(plain), encoding="utf-8")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, target / ADAPTER_FILE)


def _scale(config: dict[str, Any], tensor: str, rank: int) -> float:
    """What peft multiplies the layer's product with."""
    from peft.utils.other import get_pattern_key

    module = tensor.removeprefix("base_model.model.").partition(".lora_B.")[0]
    alphas = config.get("alpha_pattern") or {}
    alpha = alphas.get(get_pattern_key(alphas.keys(), module), config["lora_alpha"])
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _script(converters: Path, name: str) -> Path:
    script = converters.resolve() / name
    if not script.is_file():
        raise ConfigurationError(f"no {name} in {converters}", "engine.converters: the folder of llama.cpp's source")
    return script


def _run(*arguments: str | Path) -> None:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise EngineError(f"the converter to GGUF failed: {lines[-1]}")
