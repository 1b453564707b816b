"""Nights as the stages would have left them on the disk, without playing any."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.gate.evidence import proportion_interval
from pipeline.lib import generations, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.files import point, write_json
from pipeline.lib.layout import Layout

FIRST, SECOND, THIRD = (f"202611{day}T020000Z" for day in (18, 19, 20))
MORNING = datetime(2026, 11, 20, 7, tzinfo=UTC).timestamp()

# How the last stage of a night may end.
DEPLOYED = ("deploy", "done", 0, None)
REFUSED = ("canary", "Refused", 20, "candidate X: worse than the incumbent: 2 won, 30 lost of 100")
INCONCLUSIVE = ("canary", "Inconclusive", 21, "candidate X: too little evidence either way")
AWAITING = ("deploy", "AwaitingApproval", 21, "X: awaiting approval until 14:00")
ROLLED_BACK = ("deploy", "RolledBack", 30, "X was rolled back to base (collapse): success 10.0% of 40")
NOTHING = ("build-dataset", "NothingToDo", 10, "1 new rewrite, 5 needed")
FAILED = ("harvest", "failed", 69, "the gateway answered 502")


def home_of(folder: Path) -> Settings:
    """An installation whose gateway is down."""
    return Settings(home=folder, server={"port": 9})


def began(run: str) -> float:
    return datetime.strptime(run[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def play(
    layout: Layout,
    run: str,
    ending: tuple[str, str, int, str | None] = DEPLOYED,
    shares: tuple[float, float] = (0.5, 0.6),
    surely: bool = True,
    incumbent: str = "base",
    answers: list[dict[str, Any]] | None = None,
) -> None:
    """A night up to its ending; `surely`: whether the interval of the difference leaves zero out."""
    stages = ("harvest", "build-dataset", "train", "canary", "deploy")
    last, status, code, message = ending
    played = [*stages[: stages.index(last)], last]
    for number, stage in enumerate(played):
        end = stage == last
        line = {
            "run": run,
            "stage": stage,
            "status": status if end else "done",
            "exit_code": code if end else 0,
            "at": began(run) + 60 * number,
            "seconds": 50.0,
            "outputs": {},
        }
        jsonl.append(layout.runs, [{**line, "message": message} if end and message else line])
    if "train" not in played:
        return
    folder = layout.generation(run)
    folder.mkdir(parents=True)
    curve = [{"step": 10.0 * step, "loss": 1 / (step + 1), "learning_rate": 0.1} for step in range(20)]
    jsonl.write(folder / "training_curve.jsonl", curve)
    metrics = {"steps": 190, "loss": 0.05, "supervised_tokens": 900}
    write_json(folder / generations.MANIFEST, {"id": run, "parent": incumbent, "metrics": metrics, "sha256": {}})
    if "canary" not in played:
        return
    jsonl.write(folder / "canary.jsonl", answers or [])
    write_json(folder / generations.VERDICT, _verdict(code, message, shares, surely, incumbent))
    if ending == DEPLOYED:
        point(layout.current, run)


def _verdict(
    code: int, message: str | None, shares: tuple[float, float], surely: bool, incumbent: str
) -> dict[str, Any]:
    sides = {
        side: {"passed": round(400 * share), "success": share, "interval": proportion_interval(round(400 * share), 400)}
        for side, share in zip(("incumbent", "candidate"), shares, strict=True)
    }
    difference = shares[1] - shares[0]
    interval = [difference - 0.01, difference + 0.01] if surely else [-0.2, 0.3]
    overall = {"name": "overall", "n": 400, "wins": 50, "losses": 10, "value": difference, "interval": interval}
    return {
        "incumbent": incumbent,
        "outcome": {20: "fail", 21: "inconclusive"}.get(code, "pass"),
        "reason": message or "50 won, 10 lost of 400",
        "checks": [overall],
        "suites": {"holdout": {"n": 400, **sides}},
    }


def answered(number: int, question: str, before: tuple[str, bool], after: tuple[str, bool]) -> dict[str, Any]:
    """A line of canary.jsonl: each side's words, and whether they are right."""
    sides = {
        side: {"text": text, "passed": passed, "error": None}
        for side, (text, passed) in (("incumbent", before), ("candidate", after))
    }
    return {"id": f"q{number}", "group": "g", "messages": [{"role": "user", "content": question}], **sides}
