"""Seven nights on the starter: what it learns, keeps, and takes; and what two other ways make of the same day.

    python -m benchmarks.learning [--seeds 1 2 3] [--nights 7] [--quick] [--json]

Each seed is a fresh installation with its own gateway: 1,500 requests a day, a night after each, sums only for three
days, sums and texts from the fourth on. The check accepts or refuses, it never shows an answer. The alternatives have
the first day of the same seed, and no fewer generated tokens than our first night: the plain recipe (each failure
answered again by the model itself, the first accepted of 16 answers, attention layers, 5e-5, three epochs), and trl's
GRPOTrainer with the check as its reward (`benchmarks/grpo.py`), once more with ten times the tokens.
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
from benchmarks.nights import REQUESTS, SUMS, VARIABLES, answered, day_of, played, shares
from benchmarks.table import finish

MORE = 10  # times the tokens, for the second try of GRPO
PLAIN = {
    "NIGHTSCHOOL_HARVEST__SAMPLES": "16",
    "NIGHTSCHOOL_HARVEST__CONFIRM": "0",
    "NIGHTSCHOOL_HARVEST__QUALITY_THRESHOLD": "0",  # accepted once is good enough
    "NIGHTSCHOOL_HARVEST__COMPOSED": "0",
    "NIGHTSCHOOL_HARVEST__MINUTES": "10",
    "NIGHTSCHOOL_TRAIN__PRESET": "council",
}


def play(seed: int, nights: int, much: bool) -> dict[str, Any]:
    """One seed: its nights, and the alternatives on its first day; with `much`, GRPO also has ten times the tokens."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), VARIABLES)
        with home.serving():
            told = list(played(home, seed, nights))
    tokens = told[0]["generated_tokens"]
    alternatives = {"plain": plain(seed), "grpo": grpo(seed, tokens)}
    if much:
        alternatives["grpo_more"] = grpo(seed, MORE * tokens)
    print(f"seed {seed}: {json.dumps(alternatives)}", file=sys.stderr, flush=True)
    return {"seed": seed, "tokens": tokens, "nights": told, **alternatives}


def plain(seed: int) -> dict[str, Any]:
    """The plain recipe after the first day: held-out success of the sums before and after, and its tokens."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), {**VARIABLES, **PLAIN})
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
    parser.add_argument("--quick", action="store_true", help="one seed, one night, GRPO with the same tokens only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    build_starter()
    seeds, nights = (options.seeds[:1], 1) if options.quick else (options.seeds, options.nights)
    everything = [play(seed, nights, not options.quick and number == 0) for number, seed in enumerate(seeds)]
    finish("learning", rows_of(everything), {"seeds": everything}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
