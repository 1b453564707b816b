from pathlib import Path

import numpy
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from pipeline.backends.trainers.adapter_files import check
from pipeline.lib.errors import BadRecordError
from pipeline.lib.generations import ADAPTER_FILE

A, B = "base_model.model.layers.0.q_proj.lora_A.weight", "base_model.model.layers.0.q_proj.lora_B.weight"


def tensors(value: float = 0.1) -> dict[str, NDArray[numpy.float32]]:
    return {A: numpy.ones((2, 8), numpy.float32), B: numpy.full((8, 2), value, numpy.float32)}


def save(folder: Path, content: dict[str, NDArray[numpy.float32]]) -> Path:
    save_file(content, folder / ADAPTER_FILE)
    return folder


def refused(folder: Path, reason: str) -> None:
    with pytest.raises(BadRecordError, match=reason) as caught:
        check(folder)
    assert str(folder / ADAPTER_FILE) in str(caught.value)


def test_a_trained_adapter_is_accepted(tmp_path: Path):
    check(save(tmp_path, tensors()))


def test_one_tensor_that_moved_is_enough(tmp_path: Path):
    content = tensors(0) | {B.replace("q_proj", "v_proj"): numpy.ones((8, 2), numpy.float32)}
    check(save(tmp_path, content | {A.replace("q_proj", "v_proj"): numpy.ones((2, 8), numpy.float32)}))


def test_an_adapter_as_it_is_before_its_first_step_is_refused_as_inert(tmp_path: Path):
    refused(save(tmp_path, tensors(0.0)), "is inert")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", [A, B])
def test_a_tensor_that_is_not_finite_is_refused_by_name(tmp_path: Path, value: float, name: str):
    content = tensors()
    content[name][0, 0] = value
    refused(save(tmp_path, content), f"{name} is not finite")


@pytest.mark.parametrize("names", [["model.embed.weight"], [A], [A, "model.embed.weight", "model.head.weight"]])
def test_a_file_without_lora_tensors_is_refused(tmp_path: Path, names: list[str]):
    refused(save(tmp_path, {name: numpy.ones((2, 2), numpy.float32) for name in names}), "holds no LoRA tensors")


def test_a_file_that_lacks_the_other_half_of_a_pair_is_refused(tmp_path: Path):
    content = tensors()
    del content[A]
    refused(save(tmp_path, content), "holds no LoRA tensors")


@pytest.mark.parametrize("length", [0, 4, 40, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int):
    path = save(tmp_path, tensors()) / ADAPTER_FILE
    path.write_bytes(path.read_bytes()[:length])
    refused(tmp_path, "cannot be read")


def test_a_missing_file_is_refused(tmp_path: Path):
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    refused(tmp_path, "is missing")
