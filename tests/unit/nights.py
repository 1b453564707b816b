"""Nights as they stand in logs/runs.jsonl, made by hand."""

from typing import Any

from pipeline.backends.notifiers.interface import Message
from pipeline.backends.notifiers.night import compose
from pipeline.lib import jsonl, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, UnavailableError

DOWN = UnavailableError("no answer from the gateway at http://127.0.0.1:8808 (ConnectionError)")


def verdict(before: float, after: float, low: float = 0.1) -> dict[str, Any]:
    sides = {
        side: {"success": share, "interval": [share - 0.05, share + 0.04]}
        for side, share in (("incumbent", before), ("candidate", after))
    }
    overall = {"name": "overall", "n": 600, "wins": 70, "losses": 8, "value": after - before, "interval": [low, 0.4]}
    return {
        "outcome": "pass",
        "reason": "70 won, 8 lost of 600",
        "checks": [overall],
        "suites": {"holdout": {"n": 400, **sides}},
    }


def played(settings: Settings, run: str, *stages: str, ending: NightschoolError | None = None) -> None:
    """A night whose stages went well, but the last one if there is an ending."""
    for stage in stages:
        try:
            with runs.recorded(settings.layout, run, stage) as line:
                line.outputs = {
                    "harvest": {"failures": 900, "rewrites": 300},
                    "train": {"rows": 600, "loss": 0.05},
                }.get(stage, {})
                if ending and stage == stages[-1]:
                    raise ending
        except NightschoolError:
            pass


def told(settings: Settings, run: str) -> Message:
    return compose(settings, run, list(jsonl.read(settings.layout.runs)))
