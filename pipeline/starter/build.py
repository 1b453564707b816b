"""`nightschool starter build`: the base model, its hold-outs and rehearsal, made once and kept in `models/`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.backends.engines import gguf
from pipeline.lib import jsonl
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import UsageError
from pipeline.lib.files import publish_folder, read_json, write_json
from pipeline.starter import tasks

HOLDOUTS = {"arithmetic": "holdout.jsonl", "text": "holdout_text.jsonl"}
REHEARSAL = "rehearsal.jsonl"
_CARD = "starter.json"
_PRE_TOKENIZER = "smollm"  # llama.cpp's name for ours: single digits, then words as GPT-2 splits them


def build(settings: Settings, force: bool) -> dict[str, Any]:
    """Make the starter at `model.base`, unless it is there already, made by the same recipe.

    Raises:
        UsageError: something else lies there, or `model.base` is no folder but a model of the hub.
    """
    import shutil

    from pipeline.starter.base_model import Recipe, train_base

    folder = _folder(settings)
    recipe = asdict(Recipe())
    if folder.exists():
        card = read_json(folder / _CARD) if (folder / _CARD).is_file() else None
        if card is None:
            raise UsageError(f"{folder} holds another model", "model.base names the folder of the starter")
        if card["recipe"] == _plain(recipe) and not force:
            return {"built": False, "folder": str(folder), "sha256": card["sha256"]}
    facts: dict[str, Any] = {}

    def fill(temporary: Path) -> None:
        facts.update(train_base(temporary))
        for family, name in HOLDOUTS.items():
            jsonl.write(temporary / name, (task.record() for task in tasks.holdout(family)))
        jsonl.write(temporary / REHEARSAL, (task.record() for task in tasks.rehearsal()))
        facts["sha256"] = base_sha256(str(temporary))
        write_json(temporary / _CARD, {**facts, "recipe": _plain(recipe)})
        # Only now, with the new one complete. The GGUF goes too: an engine that served the old weights on would get
        # adapters that belong to others.
        folder.with_suffix(".gguf").unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)

    publish_folder(folder, fill)
    shown = {key: facts[key] for key in ("parameters", "loss", "seconds", "sha256")}
    return {"built": True, "folder": str(folder), **shown}


def to_gguf(settings: Settings) -> dict[str, Any]:
    """Write the starter as GGUF beside its folder, for llama-server.

    Raises:
        ConfigurationError: the starter, or llama.cpp's converter, is missing.
        UsageError: `model.base` is no folder.
    """
    folder = _folder(settings)
    base_sha256(str(folder))
    target = folder.with_suffix(".gguf")
    gguf.convert_base(folder, settings.home / settings.engine.converters, target, _PRE_TOKENIZER)
    return {"gguf": str(target), "bytes": target.stat().st_size}


def _folder(settings: Settings) -> Path:
    folder = Path(settings.base_folder)
    if not folder.is_absolute():
        raise UsageError(
            f"model.base = {settings.model.base!r} is a model of the hub, and the starter is made in a folder",
            "name one in model.base, such as models/starter",
        )
    return folder


def _plain(recipe: dict[str, Any]) -> Any:
    """As JSON would give it back."""
    return json.loads(json.dumps(recipe))
