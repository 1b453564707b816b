"""Planted regressions on the real starter model: is a candidate 10 or 20 points worse refused, and a healthy one not?

    python -m benchmarks.regressions [--seeds 1 2 3 4 5] [--quick] [--json]

Each seed trains an adapter on wrong answers. Its output matrices are then scaled until the candidate is as much worse
as wanted; the shipped canary judges it, asking through the gateway. The healthy candidate learned right answers.
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.home import Home
from benchmarks.table import Row, finish
from pipeline.starter import tasks

TARGETS = (10, 20)
_NEAR = 2.0  # points around the wanted loss
_ROWS = 160


def plant(home: Home, run: str, seed: int, wrong: bool) -> None:
    """A dataset of right or wrong programs, trained."""
    source, rows = random.Random(seed), []
    forbidden = {tasks.normalize(task.question) for task in tasks.holdout()}
    while len(rows) < _ROWS:
        task = tasks.draw(source, source.choice((1, 2, 3, 4)))
        if tasks.normalize(task.question) not in forbidden:
            answer = tasks.program(task)
            *lines, store, halt = answer.splitlines()
            answer = "\n".join([*lines, "PUSH #1", "ADD", store, halt]) if wrong else answer
            messages = [*task.messages, {"role": "assistant", "content": answer}]
            rows.append({"messages": messages, "interaction_id": f"{len(rows):024x}"})
    folder = home.folder / "training_data" / run
    folder.mkdir()
    content = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "sft.jsonl").write_text(content, encoding="utf-8")
    digest = hashlib.sha256(content.encode()).hexdigest()
    (folder / "dataset.json").write_text(json.dumps({"run": run, "sha256": {"sft.jsonl": digest}}), encoding="utf-8")
    home.run("--set", "train.epochs=4", "train", "--run", run)


def scaled(home: Home, source: str, target: str, factor: float) -> None:
    """A copy of a generation whose effect is weaker."""
    from safetensors.torch import load_file, save_file

    folder = home.folder / "loras" / target
    shutil.copytree(
        home.folder / "loras" / source, folder, ignore=shutil.ignore_patterns("canary*", "verdict*", "ans*")
    )
    path = folder / "adapter_model.safetensors"
    tensors = {name: tensor * factor if ".lora_B." in name else tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    manifest = json.loads((folder / "generation.json").read_text(encoding="utf-8"))
    manifest |= {"id": target}
    manifest["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "generation.json").write_text(json.dumps(manifest), encoding="utf-8")


def judged(home: Home, candidate: str, *options: str) -> dict[str, Any]:
    """The verdict of the shipped canary."""
    home.run(*options, "canary", "--candidate", candidate)
    verdict = home.folder / "loras" / candidate / "verdict.json"
    return dict(json.loads(verdict.read_text(encoding="utf-8")))


def lost(verdict: dict[str, Any]) -> float:
    """Points under the incumbent on the hold-out."""
    holdout = verdict["suites"]["holdout"]
    return 100 * float(holdout["incumbent"]["success"] - holdout["candidate"]["success"])


def planted(home: Home, source: str, seed: int, target: int) -> dict[str, Any]:
    """Bisect the scale until the loss is near the target; the verdict is then made with the shipped settings."""
    low, high = 0.0, 1.0
    for attempt in range(8):
        factor = (low + high) / 2
        run = f"20{50 + target}{seed:02}{attempt + 1:02}T000000Z"
        scaled(home, source, run, factor)
        loss = lost(judged(home, run, "--set", "canary.stop_early=false"))
        if abs(loss - target) <= _NEAR:
            break
        low, high = (factor, high) if loss < target else (low, factor)
    verdict = judged(home, run, "--set", "canary.stop_early=true")
    return {"lost": loss, "outcome": verdict["outcome"], "asked": verdict["asked"], "reason": verdict["reason"]}


def play(seeds: list[int]) -> list[dict[str, Any]]:
    """All seeds on one installation."""
    endings = []
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        with home.serving():
            for seed in seeds:
                bad, good = f"20400101T0000{seed:02}Z", f"20400102T0000{seed:02}Z"
                plant(home, bad, seed, wrong=True)
                plant(home, good, 100 + seed, wrong=False)
                healthy = judged(home, good, "--set", "canary.stop_early=true")
                ending: dict[str, Any] = {"seed": seed, "healthy": healthy["outcome"], "gained": -lost(healthy)}
                ending |= {str(target): planted(home, bad, seed, target) for target in TARGETS}
                endings.append(ending)
                print(json.dumps(ending), file=sys.stderr)
    return endings


def rows_of(endings: list[dict[str, Any]]) -> list[Row]:
    """How many of each kind ended as they should."""
    total = len(endings)
    healthy = sum(each["healthy"] == "pass" for each in endings)
    rows = [Row("healthy candidates promoted", "all", f"{healthy} of {total}", healthy == total)]
    for target in TARGETS:
        found = [each[str(target)] for each in endings]
        refused = sum(each["outcome"] == "fail" for each in found)
        losses = ", ".join(f"{each['lost']:.1f}" for each in found)
        rows.append(
            Row(f"-{target} points (really: {losses}) refused", "all", f"{refused} of {total}", refused == total)
        )
        asked = sorted(each["asked"] for each in found)[total // 2]
        rows.append(Row(f"-{target} points: median questions until refused", "–", str(asked), None))
    return rows


def main() -> None:
    """Parse, play, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    endings = play(options.seeds[:1] if options.quick else options.seeds)
    finish("regressions", rows_of(endings), {"seeds": endings}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
