"""Candidates made for a purpose, on real parts: datasets with a known content, adapters with known tensors."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy
from conftest import Home
from safetensors.numpy import load_file, save_file

from pipeline.starter import tasks
from pipeline.starter.task import Task


def tasks_of(seed: str, count: int, operations: tuple[int, ...]) -> list[Task]:
    """Tasks outside of hold-out and canary."""
    forbidden = {tasks.normalize(each.question) for each in tasks.holdout()}
    source, found = random.Random(seed), []
    while len(found) < count:
        task = tasks.draw(source, source.choice(operations))
        if tasks.normalize(task.question) not in forbidden:
            found.append(task)
    return found


def right(task: Task) -> str:
    return task.program


def wrong(task: Task, more: int = 1) -> str:
    """A program that runs well and comes to so much more."""
    lines = task.program.splitlines()
    return "\n".join([*lines[:-2], f"PUSH #{more}", "ADD", *lines[-2:]])


def write_dataset(home: Home, run: str, rows: Iterable[tuple[Task, str]]) -> None:
    """A dataset as build-dataset would have left it."""
    lines = [
        {"messages": [*task.messages, {"role": "assistant", "content": answer}], "interaction_id": f"{number:024x}"}
        for number, (task, answer) in enumerate(rows)
    ]
    write_table(home.folder, run, "sft.jsonl", lines)


def write_table(home: Path, run: str, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """One more table of a dataset, with a manifest that agrees."""
    folder = home / "training_data" / run
    folder.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name).write_text(content)
    manifest = folder / "dataset.json"
    hashes = json.loads(manifest.read_text())["sha256"] if manifest.exists() else {}
    hashes[name] = hashlib.sha256(content.encode()).hexdigest()
    manifest.write_text(json.dumps({"schema": 1, "run": run, "sha256": hashes}))


def preferences(chosen: Iterable[Task]) -> list[dict[str, Any]]:
    """The right program against one that comes to one more."""
    return [
        {
            "prompt": task.messages,
            "chosen": [{"role": "assistant", "content": right(task)}],
            "rejected": [{"role": "assistant", "content": wrong(task)}],
            "interaction_id": f"{number:024x}",
        }
        for number, task in enumerate(chosen)
    ]


def unpaired(pairs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each of the two answers alone, with its label."""
    return [
        {"prompt": pair["prompt"], "completion": pair[name], "label": label, "interaction_id": pair["interaction_id"]}
        for pair in pairs
        for name, label in (("chosen", True), ("rejected", False))
    ]


def altered(home: Home, source: str, target: str, change: Callable[[str, Any], tuple[str, Any]]) -> None:
    """A copy of a generation whose tensors were changed, with a manifest that agrees with them."""
    folder = home.folder / "loras" / target
    shutil.copytree(home.folder / "loras" / source, folder)
    for name in ("verdict.json", "canary.jsonl", "deployment.json"):
        (folder / name).unlink(missing_ok=True)
    path = folder / "adapter_model.safetensors"
    save_file(dict(change(name, tensor) for name, tensor in load_file(path).items()), path)
    manifest = json.loads((folder / "generation.json").read_text())
    manifest["id"] = target
    manifest["sha256"]["adapter_model.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "generation.json").write_text(json.dumps(manifest))


def random_tensor(name: str, tensor: Any) -> tuple[str, Any]:
    noise = numpy.random.default_rng(len(name)).normal(scale=0.5, size=tensor.shape)
    return name, noise.astype(tensor.dtype)


def zeroed_outputs(name: str, tensor: Any) -> tuple[str, Any]:
    return name, numpy.zeros_like(tensor) if ".lora_B." in name else tensor


def rescaled(name: str, tensor: Any) -> tuple[str, Any]:
    """Weaker, so that the larger scales of rsLoRA do not break the model."""
    return name, tensor * 0.3 if ".lora_B." in name else tensor


def widened(rank: int) -> Callable[[str, Any], tuple[str, Any]]:
    """The same function with a larger rank: the further rows and columns are zeros."""

    def change(name: str, tensor: Any) -> tuple[str, Any]:
        axis = 1 if ".lora_B." in name else 0
        missing = list(tensor.shape)
        missing[axis] = rank - tensor.shape[axis]
        return name, numpy.concatenate([tensor, numpy.zeros(missing, tensor.dtype)], axis)

    return change


def reconfigured(home: Home, run: str, **fields: Any) -> None:
    """Other fields in a generation's adapter configuration, with a manifest that agrees."""
    folder = home.folder / "loras" / run
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    manifest = json.loads((folder / "generation.json").read_text())
    if path.name in manifest["sha256"]:
        manifest["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "generation.json").write_text(json.dumps(manifest))


def misnamed(name: str, tensor: Any) -> tuple[str, Any]:
    return name.replace(".layers.", ".blocks."), tensor


def write_questions(path: Path, chosen: Iterable[Task]) -> None:
    lines = [{"id": f"q{number}", **task.record()} for number, task in enumerate(chosen)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
