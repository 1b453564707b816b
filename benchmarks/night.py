"""How much one night teaches, and how long it takes: the commands that cron runs, on the starter, by seeds.

    python -m benchmarks.night [--seeds 1 2 3] [--quick] [--json]

Each seed is a fresh installation with its own gateway; two days of 1,500 requests, a night after each. The alternative
in the same run is the classic recipe (`train.preset=council`) on the first night's dataset.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.home import Home, build_starter, timed
from benchmarks.table import Row, finish


def play(seed: int, nights: int) -> dict[str, Any]:
    """Days and nights of one seed: what each night taught and took."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        with home.serving():
            played = []
            for number in range(nights):
                home.run("starter", "day", "--requests", "1500", "--seed", str(seed * 100 + number))
                code = home.night()
                played.append(_outcome(home, code))
                print(f"seed {seed}, night {number + 1}: {json.dumps(played[-1])}", file=sys.stderr)
            classic = _classic(home, played[0]["run"])
    return {"seed": seed, "nights": played, "classic": classic}


def _outcome(home: Home, code: int) -> dict[str, Any]:
    story = home.run("report")
    holdout = story["verdict"]["suites"]["holdout"]
    seconds, working = timed(story)
    short = [each for each in home.examined(story["run"]) if each["group"][0] in "12"]
    return {
        "exit_code": code,
        "before": holdout["incumbent"]["success"],
        "after": holdout["candidate"]["success"],
        "interval": holdout["candidate"]["interval"],
        "short_before": sum(each["incumbent"]["passed"] for each in short) / len(short),
        "short_after": sum(each["candidate"]["passed"] for each in short) / len(short),
        "rewrites": story["dataset"]["rewrites"],
        "seconds": seconds,
        "harvest_to_deployed": working,
        "run": story["run"],
    }


def _classic(home: Home, run: str) -> dict[str, Any]:
    """The alternative: attention layers, lr 5e-5, 3 epochs, on the same rows."""
    first = home.folder / "training_data" / run
    copy = home.folder / "training_data" / "20990101T000000Z"
    copy.mkdir()
    for name in ("sft.jsonl", "dataset.json"):
        (copy / name).write_bytes((first / name).read_bytes())
    home.run("rollback", "--to", "base")
    home.run("--set", "train.preset=council", "train", "--run", copy.name)
    home.run("canary", "--candidate", copy.name)
    verdict = json.loads((home.folder / "loras" / copy.name / "verdict.json").read_text(encoding="utf-8"))
    holdout = verdict["suites"]["holdout"]
    return {"before": holdout["incumbent"]["success"], "after": holdout["candidate"]["success"]}


def rows_of(played: list[dict[str, Any]]) -> list[Row]:
    """The bars of the project's first night; the worst seed decides."""
    first = [each["nights"][0] for each in played]
    every = [night for each in played for night in each["nights"]]
    gained = [_points(night["before"], night["after"]) for night in first]
    lost = [_points(night["short_after"], night["short_before"]) for night in every]
    minutes = [night["harvest_to_deployed"] / 60 for night in every]
    classic = [_points(each["classic"]["before"], each["classic"]["after"]) for each in played]
    start = [100 * night["before"] for night in first]
    rows = [
        Row("held-out success of the fresh base", "45–55 %", _listed(start, " %"), all(45 <= x <= 55 for x in start)),
        Row("first night, points gained", "≥ 8 each seed", _listed(gained), min(gained) >= 8),
    ]
    if all(len(each["nights"]) > 1 for each in played):
        second = [_points(each["nights"][1]["before"], each["nights"][1]["after"]) for each in played]
        rows.append(Row("second night, points gained", "≥ 3 each seed", _listed(second), min(second) >= 3))
    return [
        *rows,
        Row("1- and 2-operation tasks, points lost in a night", "≤ 1", _listed(lost), max(lost) <= 1),
        Row(
            "harvest to deployed, without the watch, minutes (night by night)",
            "≤ 4",
            _listed(minutes),
            max(minutes) <= 4,
        ),
        Row("classic recipe on the same rows, points gained", "–", _listed(classic), None),
    ]


def _points(before: float, after: float) -> float:
    """Percentage points; rounded, for a share of 400 has no more digits than these."""
    return round(100 * (after - before), 2)


def _listed(values: list[float], unit: str = "") -> str:
    return ", ".join(f"{value:.1f}" for value in values) + unit


def main() -> None:
    """Parse, play, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true", help="one seed, one night")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    build_starter()
    seeds, nights = (options.seeds[:1], 1) if options.quick else (options.seeds, 2)
    played = [play(seed, nights) for seed in seeds]
    finish("night", rows_of(played), {"seeds": played}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
