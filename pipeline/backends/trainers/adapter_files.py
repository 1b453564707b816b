"""What may be called a trained adapter, and which one a training can go on from: by the files, without torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backends.trainers.presets import ATTENTION, Recipe
from pipeline.lib.errors import BadRecordError
from pipeline.lib.files import read_json
from pipeline.lib.generations import ADAPTER_FILE

if TYPE_CHECKING:
    import numpy


CONFIGURATION = "adapter_config.json"  # as PEFT writes it


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


def suits(folder: Path, recipe: Recipe) -> bool:
    """Whether a recipe can go on from an adapter: of the same rank and alpha, on all layers that the recipe adapts.

    Raises:
        BadRecordError: its configuration cannot be read.
    """
    configuration = read_json(folder / CONFIGURATION)
    if (configuration.get("r"), configuration.get("lora_alpha")) != (recipe.rank, recipe.alpha):
        return False
    adapted = set(targets(folder))
    if isinstance(recipe.targets, str):  # all-linear, for which PEFT has written the names of this base's layers
        return not adapted <= set(ATTENTION)
    return adapted >= set(recipe.targets)


def targets(folder: Path) -> tuple[str, ...]:
    """The kinds of layers that an adapter changes, such as `q_proj`, in order; small bases name each layer in full."""
    named = read_json(folder / CONFIGURATION).get("target_modules") or ()
    return tuple(sorted({name.rsplit(".", 1)[-1] for name in ([named] if isinstance(named, str) else named)}))
