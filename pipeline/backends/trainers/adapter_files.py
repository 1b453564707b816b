"""What may be called a trained adapter: checked on the file itself, without torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.lib.errors import BadRecordError
from pipeline.lib.generations import ADAPTER_FILE

if TYPE_CHECKING:
    import numpy


def check(folder: Path) -> None:
    """Refuse adapter files that cannot change an answer.

    Raises:
        BadRecordError: no safetensors file, not readable, no LoRA tensors, a tensor that is not finite, or LoRA-B all
            zero (an adapter as it is before its first step).
    """
    import numpy
    from safetensors import SafetensorError

    path = folder / ADAPTER_FILE
    if not path.is_file():
        raise BadRecordError(f"{path} is missing", "only safetensors adapters are served; train again")
    try:
        tensors = _read(path)
    except (SafetensorError, OSError) as error:
        raise BadRecordError(f"{path} cannot be read: {error}", "the file is damaged; train again") from error
    outputs = {name: tensor for name, tensor in tensors.items() if ".lora_B." in name}
    if not outputs or len(outputs) * 2 > len(tensors):
        raise BadRecordError(f"{path} holds no LoRA tensors", "train again")
    broken = [name for name, tensor in tensors.items() if not numpy.isfinite(tensor).all()]
    if broken:
        raise BadRecordError(f"{path}: {broken[0]} is not finite", "train again with a lower learning rate")
    if not any(tensor.any() for tensor in outputs.values()):
        raise BadRecordError(f"{path} is inert: its tensors are those before the first step", "train again")


def _read(path: Path) -> "dict[str, numpy.ndarray]":
    """The tensors as arrays; bfloat16, which numpy does not know, by way of torch and float32."""
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except TypeError:
        from safetensors.torch import load_file as load_with_torch

        return {name: tensor.float().numpy() for name, tensor in load_with_torch(path).items()}
