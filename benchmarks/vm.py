"""How fast the Sovereign VM judges: whole programs (assembled and run) and instructions in a loop.

python -m benchmarks.vm [--quick] [--json]

The programs are the starter's answers, drawn from a seed; the loops add, join texts and call. Seconds are those of one
core; the best of five passes counts.
"""

import argparse
import random
import time
from collections.abc import Callable

from benchmarks.table import Row, finish
from pipeline.evolution.assembler import assemble
from pipeline.evolution.machine import Limits, run
from pipeline.starter import tasks

_PASSES = 5
_ADDING = 'PUSH #0\nagain:\nPUSH #1\nADD\nDUP\nPUSH #{rounds}\nLT\nJNZ again\nSTORE "total"'
_TEXTS = 'PUSH #{rounds}\nagain:\nPUSH #1\nSUB\nDUP\nPUSH "a"\nCONCAT\nSTORE "key"\nDUP\nJNZ again'
_CALLS = "PUSH #{rounds}\nagain:\nCALL less\nDUP\nJNZ again\nHALT\nless:\nPUSH #1\nSUB\nRET"


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(2_000 if arguments.quick else 20_000)
    rows = [
        Row(
            "programs assembled and run", "≥ 50,000 a second", f"{found['programs']:,.0f}", found["programs"] >= 50_000
        ),
        Row("instructions, adding", "≥ 1.5 M a second", f"{found['adding']:,.0f}", found["adding"] >= 1_500_000),
        Row("instructions, texts", "–", f"{found['texts']:,.0f}", None),
        Row("instructions, calls", "–", f"{found['calls']:,.0f}", None),
    ]
    finish("vm", rows, {"measured": found}, arguments.json, keep=not arguments.quick)


def measure(size: int, seed: int = 0) -> dict[str, float]:
    """Programs and instructions a second, by kind.

    Args:
        size: how many programs, and how many rounds of each loop.
        seed: of the programs.
    """
    source = random.Random(seed)
    programs = [tasks.program(tasks.draw(source, source.randint(1, tasks.MOST_OPERATIONS))) for _ in range(size)]

    def judge_all() -> int:
        for each in programs:
            run(each)
        return size

    found = {"programs": _fastest(judge_all)}
    for name, loop in (("adding", _ADDING), ("texts", _TEXTS), ("calls", _CALLS)):
        assembled = assemble(loop.format(rounds=size))
        found[name] = _fastest(lambda assembled=assembled: run(assembled, Limits(steps=20 * size)).steps)
    return found


def _fastest(job: Callable[[], int]) -> float:
    """How many a second, in the best pass."""
    best = 0.0
    for _ in range(_PASSES):
        begun = time.process_time()
        done = job()
        best = max(best, done / (time.process_time() - begun))
    return best


if __name__ == "__main__":
    main()
