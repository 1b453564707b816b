"""Homes as the dashboard may find them: generations with verdicts and answers, nights with their stages."""

import hashlib
import time
from pathlib import Path

from pipeline.lib import generations, jsonl
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.files import point, write_json

FIRST, SECOND = "20261119T020000Z", "20261120T020000Z"
HOSTILE = '<img src=x onerror="document.title=1">\x1b[31mred\nnext\u202eline'


def tensors(run: str) -> bytes:
    return f"tensors of {run}".encode()


def sha256_of(run: str) -> str:
    return hashlib.sha256(tensors(run)).hexdigest()


def base(home: Path) -> str:
    """A base model of no use; its hash."""
    file = home / "models" / "starter" / "model.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    return base_sha256(str(file.parent))


def generation(home: Path, run: str, parent: str, success: float) -> None:
    folder = home / "loras" / run
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(tensors(run))
    jsonl.write(folder / "training_curve.jsonl", [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 0.5}])
    manifest = {
        "parent": parent,
        "dataset": {"rows": 7},
        "metrics": {"steps": 20, "loss": 0.7},
        "base": {"sha256": base(home)},
    }
    write_json(
        folder / "generation.json", {"id": run, **manifest, "sha256": {"adapter_model.safetensors": sha256_of(run)}}
    )
    sides = {
        name: {"success": share, "interval": [share - 0.1, share + 0.1]}
        for name, share in (("incumbent", 0.5), ("candidate", success))
    }
    verdict = {"outcome": "pass", "reason": HOSTILE, "incumbent": parent, "candidate_sha256": sha256_of(run)}
    write_json(folder / "verdict.json", {**verdict, "suites": {"holdout": {"n": 100, **sides}}, "checks": []})
    rows = [
        {"id": str(number), "messages": [{"role": "user", "content": HOSTILE}], "candidate": ours, "incumbent": theirs}
        for number, (theirs, ours) in enumerate(
            ({"text": HOSTILE, "passed": before, "error": None}, {"text": "42", "passed": after, "error": None})
            for before, after in ((False, True), (True, False), (True, True))
        )
    ]
    jsonl.write(folder / "canary.jsonl", rows)


def stages(home: Path, run: str, *named: tuple[str, str, int, str]) -> None:
    at = time.time() - 600
    for number, (stage, status, code, message) in enumerate(named):
        line = {"run": run, "stage": stage, "status": status, "exit_code": code, "at": at + number, "seconds": 1.0}
        jsonl.append(home / "logs" / "runs.jsonl", [{**line, "outputs": {}, "message": message}])


def two_nights(home: Path) -> Path:
    """The first was deployed, the second waits for a person."""
    generation(home, FIRST, "base", 0.6)
    generation(home, SECOND, FIRST, 0.7)
    layout = Settings(home=home).layout
    generations.make_current(layout, generations.read(layout, FIRST), generations.PROMOTED, FIRST, base(home))
    point(layout.latest, SECOND)
    stages(home, FIRST, ("harvest", "done", 0, ""), ("train", "done", 0, ""), ("deploy", "done", 0, ""))
    stages(home, SECOND, ("train", "done", 0, ""), ("deploy", "AwaitingApproval", 21, HOSTILE))
    waiting = {
        "state": "awaiting",
        "since": 0,
        "until": time.time() + 900,
        "sha256": sha256_of(SECOND),
        "incumbent": FIRST,
    }
    write_json(home / "loras" / SECOND / "approval.json", waiting)
    return home
