"""Installations made by hand: a base model and generations as the stages would have left them, without any training."""

from pathlib import Path
from typing import Any

import numpy
from safetensors.numpy import save_file

from pipeline.lib import generations, jsonl
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.files import sha256, write_json
from pipeline.lib.generations import Generation

FIRST, SECOND, THIRD = (f"202611{day}T020000Z" for day in (18, 19, 20))


def make_settings(home: Path, **sections: Any) -> Settings:
    """An installation with a base model and without a gateway."""
    settings = Settings(home=home, server={"port": 0}, **sections)
    make_base(settings, b"starter")
    settings.layout.loras.mkdir(exist_ok=True)
    return settings


def make_base(settings: Settings, weights: bytes) -> None:
    folder = Path(settings.base_folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)


def make(settings: Settings, identity: str, parent: str = "base", trained_on: tuple[str, ...] = ()) -> Generation:
    """A generation of the configured base model."""
    folder = settings.layout.generation(identity)
    folder.mkdir(parents=True)
    tensors = {f"layer.lora_{name}.weight": numpy.ones((2, 2), numpy.float32) for name in "AB"}
    save_file(tensors, folder / generations.ADAPTER_FILE, {"made": identity})
    jsonl.write(folder / "interaction_ids.jsonl", [{"id": each} for each in trained_on])
    manifest = {
        "id": identity,
        "parent": parent,
        "base": {"model": settings.model.base, "sha256": base_sha256(settings.base_folder)},
        "dataset": {"path": f"training_data/{identity}", "rows": len(trained_on)},
        "metrics": {"steps": 7, "loss": 0.5, "supervised_tokens": 100},
        "sha256": {path.name: sha256(path) for path in folder.iterdir()},
    }
    write_json(folder / generations.MANIFEST, manifest)
    return generations.read(settings.layout, identity)


def judged(generation: Generation, incumbent: str, outcome: str = "pass") -> Generation:
    """With a verdict."""
    record = {
        "incumbent": incumbent,
        "candidate_sha256": generation.sha256,
        "outcome": outcome,
        "reason": "12 won, 2 lost of 100",
        "checks": [{"name": "overall", "value": 0.1}],
        "suites": {"holdout": {"candidate": {"success": 0.6}, "incumbent": {"success": 0.5}}},
    }
    write_json(generation.folder / generations.VERDICT, record)
    return generation


def answered(generation: Generation, **answers: tuple[str, str]) -> None:
    """With a canary.jsonl: {question id: (candidate's answer, incumbent's)}; the answer "right" is the right one."""
    rows = [
        {
            "id": identity,
            "group": "sums",
            "messages": [{"role": "user", "content": f"question {identity}"}],
            **{
                side: {"text": text, "passed": text.startswith("right"), "error": None}
                for side, text in zip(("candidate", "incumbent"), texts, strict=True)
            },
        }
        for identity, texts in answers.items()
    ]
    jsonl.write(generation.folder / "canary.jsonl", rows)


def promote(settings: Settings, identity: str) -> None:
    swap(settings, identity, generations.PROMOTED)


def swap(settings: Settings, identity: str, reason: str) -> None:
    base = base_sha256(settings.base_folder)
    generations.make_current(settings.layout, generations.read(settings.layout, identity), reason, identity, base)
