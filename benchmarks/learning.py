"""Seven nights on the starter: what it learns, keeps, and takes; and what two other ways make of the same day.

    python -m benchmarks.learning [--seeds 1 2 3] [--nights 7] [--patience 1] [--more] [--quick] [--json]

Each seed is a fresh installation with its own gateway: 1,500 requests a day, a night after each, sums only for three
days, sums and texts from the fourth on. The check accepts or refuses, it never shows an answer. The alternatives have
the first day of the same seed, and no fewer generated tokens than our first night: the plain recipe (each failure
answered again by the model itself, the first accepted of 16 answers, attention layers, 5e-5, three epochs), and trl's
GRPOTrainer with the check as its reward (`benchmarks/grpo.py`), with `--more` once more with ten times the tokens.

A seed takes about an hour on two idle cores. Each is kept in `results/learning/` when it is done; one that is there is
not played again, so delete that folder to begin anew. `--patience 2` gives the nights twice the time, on a slower
machine; what they took is then no measure.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.home import REPOSITORY, Home, build_starter
from benchmarks.learning_bars import rows_of
from benchmarks.nights import REQUESTS, SUMS, answered, day_of, played, shares, variables
from benchmarks.table import RESULTS, finish

KEPT = RESULTS / "learning"
MORE = 10  # times the tokens, for the second try of GRPO
PLAIN = {
    "NIGHTSCHOOL_HARVEST__SAMPLES": "16",
    "NIGHTSCHOOL_HARVEST__CONFIRM": "0",
    "NIGHTSCHOOL_HARVEST__QUALITY_THRESHOLD": "0",  # accepted once is good enough
    "NIGHTSCHOOL_HARVEST__COMPOSED": "0",
    "NIGHTSCHOOL_HARVEST__MINUTES": "30",
    "NIGHTSCHOOL_TRAIN__PRESET": "council",
}


def kept(seed: int, nights: int, patience: float, more: bool) -> dict[str, Any]:
    """One seed, as it was played before, or played now and kept."""
    path = KEPT / f"seed_{seed}.json"
    if not path.is_file():
        told = play(seed, nights, patience, more)
        KEPT.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    seed_told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return seed_told


def play(seed: int, nights: int, patience: float, more: bool) -> dict[str, Any]:
    """One seed: its nights, and the alternatives on its first day; with `more`, GRPO also has ten times the tokens."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), variables(patience))
        with home.serving():
            told = list(played(home, seed, nights))
    tokens = told[0]["generated_tokens"]
    alternatives = {"plain": plain(seed, patience), "grpo": grpo(seed, tokens)}
    if more:
        alternatives["grpo_more"] = grpo(seed, MORE * tokens)
    print(f"seed {seed}: {json.dumps(alternatives)}", file=sys.stderr, flush=True)
    return {"seed": seed, "patience": patience, "tokens": tokens, "nights": told, **alternatives}


def plain(seed: int, patience: float) -> dict[str, Any]:
    """The plain recipe after the first day: held-out success of the sums before and after, and its tokens."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), {**variables(patience), **PLAIN})
        with home.serving():
            home.run("starter", "day", "--requests", str(REQUESTS), "--seed", str(day_of(seed, 1)))
            harvest = home.run("harvest")
            home.run("build-dataset")
            run = home.run("train")["run"]
            home.run("canary", "--candidate", run)
            before, after = (shares(right)[SUMS] for right in answered(home.examined(run), deployed=True))
    return {"before": before["success"], "after": after["success"], "tokens": harvest.get("generated_tokens")}


def grpo(seed: int, tokens: int) -> dict[str, Any]:
    """GRPO on the first day, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.grpo", "--seed", str(day_of(seed, 1)), "--tokens", str(tokens)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    """Parse, play, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--nights", type=int, default=7)
    parser.add_argument("--patience", type=float, default=1, help="times the minutes that a night may take")
    parser.add_argument("--more", action="store_true", help="GRPO also with ten times the tokens")
    parser.add_argument("--quick", action="store_true", help="one seed, one night; nothing is kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    build_starter()
    if options.quick:
        everything = [play(options.seeds[0], 1, options.patience, options.more)]
    else:
        everything = [kept(seed, options.nights, options.patience, options.more) for seed in options.seeds]
    finish("learning", rows_of(everything), {"seeds": everything}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
