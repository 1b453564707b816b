"""The training that is under way, or the last one.

reads   `loras/.<run>.<method>.<training>.work/progress.jsonl` while it runs, then `loras/<run>/training_curve.jsonl`
"""

from pathlib import Path

from pipeline.backends.trainers.progress import PROGRESS
from pipeline.dashboard.shapes import CurvePoint, Json, TrainingStatus
from pipeline.lib import generations, jsonl
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout

_MOST_POINTS = 400  # more than a plot of this size can show
NOTHING: TrainingStatus = {
    "state": "none",
    "run": None,
    "step": None,
    "steps": None,
    "rows": None,
    "method": None,
    "seconds": None,
    "loss": None,
    "curve": [],
}


def training_status(layout: Layout, is_training: bool) -> TrainingStatus:
    """Where the training is, or how the last one went."""
    if is_training and (work := _work(layout)):
        return _running(work)
    trained = generations.all_complete(layout)
    return _done(trained[-1]) if trained else NOTHING


def watched(layout: Layout) -> list[Path]:
    """The files and folders that change while a training goes on."""
    return [each for folder in _work_folders(layout) for each in (folder, folder / PROGRESS)]


def _work_folders(layout: Layout) -> list[Path]:
    """Those of trainings that have not come to their end, the one written to last at the end."""
    return sorted(layout.loras.glob(".*.work"), key=lambda path: path.stat().st_mtime)


def _work(layout: Layout) -> Path | None:
    return next(reversed(_work_folders(layout)), None)


def _running(work: Path) -> TrainingStatus:
    run, method = work.name.strip(".").split(".")[:2]
    points = {int(line["step"]): line for line in jsonl.read(work / PROGRESS)}  # after a kill some steps come again
    last = points[max(points)] if points else {}
    return {
        **NOTHING,
        "state": "running",
        "run": run,
        "method": method,
        "step": last.get("step", 0),
        "steps": last.get("steps"),
        "loss": last.get("loss"),
        "curve": _curve([points[step] for step in sorted(points)]),
    }


def _done(generation: Generation) -> TrainingStatus:
    metrics, config = generation.manifest.get("metrics", {}), generation.manifest.get("config", {})
    return {
        "state": "done",
        "run": generation.id,
        "step": metrics.get("steps"),
        "steps": metrics.get("steps"),
        "rows": metrics.get("rows"),
        "method": config.get("method"),
        "seconds": metrics.get("seconds"),
        "loss": metrics.get("loss"),
        "curve": _curve(list(jsonl.read(generation.folder / "training_curve.jsonl"))),
    }


def _curve(points: list[Json]) -> list[CurvePoint]:
    """Evenly thinned out, the last one kept."""
    every = -(-len(points) // _MOST_POINTS) or 1
    kept = points[::-1][::every][::-1]
    return [
        {
            "step": int(point["step"]),
            "loss": point.get("loss"),
            "learning_rate": point.get("learning_rate"),
            "grad_norm": point.get("grad_norm"),
        }
        for point in kept
    ]
