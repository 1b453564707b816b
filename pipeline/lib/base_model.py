"""A base model: its identity, which is the hash of its weights, and how it is loaded."""

import hashlib
from pathlib import Path
from typing import Any

from pipeline.lib.errors import ConfigurationError
from pipeline.lib.files import sha256

_PATHS = ("/", ".")  # how what is no hub id begins


def base_sha256(base: str) -> str:
    """One hash over the names and contents of all safetensors files of a model folder.

    For a hub id the folder is the one in the local cache.

    Raises:
        ConfigurationError: there are no such files.
    """
    files = sorted(folder.glob("*.safetensors")) if (folder := _folder(base)) else []
    if not files:
        raise ConfigurationError(f"no base model at {base}", how_to_get(base))
    parts = "".join(f"{file.name} {sha256(file)}\n" for file in files)
    return hashlib.sha256(parts.encode()).hexdigest()


def how_to_get(base: str) -> str:
    """What to do about a base model that cannot be used: a hint for an error."""
    if not base.startswith(_PATHS):
        return f"`hf download {base}` fetches it from the hub; model.base names another, or a folder"
    if Path(base).exists():
        return "model.base names another"
    return "`nightschool starter build` makes the default one; model.base names another"


def precision(quantization: str) -> dict[str, Any]:
    """How transformers loads a base: the same where it is trained on, served, and where references are computed.

    Args:
        quantization: `none` (float32), or `nf4`.
    """
    import torch
    from transformers import BitsAndBytesConfig

    if quantization == "none":
        return {"dtype": torch.float32}
    configuration = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=quantization, bnb_4bit_compute_dtype=torch.float32
    )
    return {"dtype": torch.float32, "quantization_config": configuration}


def as_configured(model: Any) -> Any:
    """The model, with quantized layers that compute as `precision` says.

    When it does not train, bitsandbytes would compute in bfloat16 on processors that can, and there it fails on layers
    whose widths are no multiples of 64.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def _folder(base: str) -> Path | None:
    if Path(base).is_dir():
        return Path(base)
    if base.startswith(_PATHS):
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(base, allow_patterns="*.safetensors", local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        return None
