"""Generations on disk: immutable adapter folders with a manifest, and the symlink that says which one serves.

loras/base/               generation zero: the bare base model, no adapter
loras/20261120T020000Z/   an adapter; generation.json is written last and makes it complete
loras/current             → the incumbent
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl, trained_answers
from pipeline.lib.errors import BadRecordError, UsageError
from pipeline.lib.files import point, read_json, sha256, write_json
from pipeline.lib.layout import Layout

MANIFEST = "generation.json"
VERDICT = "verdict.json"
DEPLOYMENT = "deployment.json"
ADAPTER_FILE = "adapter_model.safetensors"
BASE = "base"
PROMOTED = "promoted"  # the reason that the ledger gives for a promotion; other swaps have other words


@dataclass(frozen=True, slots=True)
class Generation:
    """A complete generation: its folder and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        """The run that trained it, or `base`."""
        return self.folder.name

    @property
    def sha256(self) -> str | None:
        """The hash of the adapter's tensors; none for the bare base."""
        files: dict[str, str] = self.manifest.get("sha256", {})
        return files.get(ADAPTER_FILE)

    @property
    def base_sha256(self) -> str | None:
        """The hash of the base model that it was trained on; the bare base does not say which it is."""
        recorded: str | None = self.manifest.get("base", {}).get("sha256")
        return recorded

    @property
    def trained_answers(self) -> dict[str, str | None]:
        """The interactions that this generation was trained on, each with the hash of its answer."""
        return trained_answers.read(self.folder)

    @property
    def interaction_ids(self) -> set[str]:
        """The interactions that this generation was trained on."""
        return set(self.trained_answers)

    def verify_files(self) -> None:
        """Compare every file with the hash that the manifest recorded.

        Raises:
            BadRecordError: a file is missing or has changed since it was trained.
        """
        for name, expected in self.manifest.get("sha256", {}).items():
            path = self.folder / name
            if not path.is_file():
                raise BadRecordError(f"{path} is missing", "the generation is damaged; train again or roll back")
            if sha256(path) != expected:
                raise BadRecordError(f"{path} has changed since it was trained", "train again or roll back")


def read(layout: Layout, identity: str) -> Generation:
    """The generation with this id (also `current`, `latest`).

    Raises:
        UsageError: there is none, or it is not complete.
    """
    folder = layout.generation(identity)
    if identity == "current" and not folder.is_symlink():
        return bare_base(layout)
    if identity in ("current", "latest") and folder.is_symlink():
        folder = layout.generation(folder.readlink().name)
    if folder.name == BASE:
        return bare_base(layout)
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            f"no generation {identity!r} in {layout.loras}", "see `nightschool status` for those there are"
        )
    return Generation(folder, read_json(folder / MANIFEST))


def bare_base(layout: Layout) -> Generation:
    """Generation zero; its folder is made when the link first names it."""
    return Generation(layout.generation(BASE), {"id": BASE, "parent": None, "sha256": {}})


def incumbent(layout: Layout) -> Generation:
    """What `loras/current` names; the bare base when there is no such link."""
    return read(layout, "current")


def all_complete(layout: Layout) -> list[Generation]:
    """Every trained generation, oldest first; without the bare base."""
    manifests = sorted(layout.loras.glob(f"[0-9]*/{MANIFEST}"))
    return [Generation(path.parent, read_json(path)) for path in manifests if not path.parent.is_symlink()]


def make_current(layout: Layout, generation: Generation, reason: str, run: str, base_sha256: str | None = None) -> None:
    """Swap `loras/current` in one step and write the ledger.

    Everything else is written after the swap: the link is the state, the ledger only its history, and a disk that is
    full must not hold up a return. `base_sha256` says which base model is meant by the bare base; none: that of the
    generation before it.

    Raises:
        DiskError: the disk is full or refuses; the link may have moved all the same.
    """
    before = incumbent(layout)
    point(layout.current, generation.id)
    jsonl.append(
        layout.promotions,
        [
            {
                "at": time.time(),
                "run": run,
                "from": before.id,
                "to": generation.id,
                "sha256": generation.sha256,
                "base_sha256": generation.base_sha256 or base_sha256 or before.base_sha256,
                "reason": reason,
            }
        ],
    )
    if generation.id == BASE and not (generation.folder / MANIFEST).is_file():
        write_json(generation.folder / MANIFEST, generation.manifest)


def ledger(layout: Layout) -> list[dict[str, Any]]:
    """Every swap so far, oldest first."""
    return list(jsonl.read(layout.promotions))


def verdict(generation: Generation) -> dict[str, Any] | None:
    """What the canary said about it, if it was asked."""
    path = generation.folder / VERDICT
    return read_json(path) if path.is_file() else None


def summary(generation: Generation) -> dict[str, Any]:
    """What people compare generations by; what is not known is none."""
    manifest, said = generation.manifest, verdict(generation) or {}
    overall: dict[str, Any] = next((check for check in said.get("checks", []) if check["name"] == "overall"), {})
    held_out = said.get("suites", {}).get("holdout", {}).get("candidate", {})
    created = None
    with suppress(ValueError):  # the bare base
        created = datetime.strptime(generation.id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).isoformat()
    return {
        "id": generation.id,
        "parent": manifest.get("parent"),
        "base": manifest.get("base", {}).get("model"),
        "base_sha256": generation.base_sha256,
        "created": created,
        "rows": manifest.get("dataset", {}).get("rows"),
        "verdict": said.get("outcome"),
        "difference": overall.get("value"),
        "held_out": held_out.get("success"),
    }
