"""What the sandbox costs for each program, and whether hostile programs get through it.

python -m benchmarks.sandbox [--quick] [--json]

Each of some small programs is checked in the sandbox and run bare (`python -I -S -c`, the same interpreter), one right
after the other, one at a time. The hostile programs are those of the tests; the ones that succeed on any machine are
run outside as well, or it would mean nothing that they do not succeed inside.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import hostile
from benchmarks.table import Row, finish
from pipeline.backends.checks.run import judge
from pipeline.backends.sandboxes import choice, process
from pipeline.backends.sandboxes.bubblewrap import Bubblewrap
from pipeline.backends.sandboxes.interface import Limits, Sandbox
from pipeline.backends.sandboxes.landlock import Landlock
from pipeline.lib import sections

_LIMITS = Limits(processor_seconds=3, seconds=3, memory_mb=128, disk_mb=4, output_kb=1024)
_MECHANISMS: dict[str, Callable[[Limits], Sandbox]] = {"bubblewrap": Bubblewrap, "landlock": Landlock}
_CASES = 10
_PROGRAMS = (
    "def f(n):\n    return sum(range(n + {0}))",
    "import math\n\ndef f(n):\n    return math.gcd(n, {0})",
    "def f(n):\n    return sorted(str(n * {0}), reverse=True)",
    "import re\n\ndef f(n):\n    return re.findall(r'\\d', str(n + {0}))",
    "from collections import Counter\n\ndef f(n):\n    return Counter(str(n ** {0}))",
)


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="20 programs instead of 200")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {name: measure(name, 20 if arguments.quick else 200) for name in _MECHANISMS}
    rows = [row for name, each in found.items() for row in _rows(name, each)]
    finish("sandbox", rows, {"measured": found}, arguments.json, keep=not arguments.quick)


def _rows(name: str, found: dict[str, Any]) -> list[Row]:
    """Only the default has bars."""
    default = name == "bubblewrap"
    if "problem" in found:
        return [Row(f"{name}: works here", "yes" if default else "–", found["problem"], False if default else None)]
    median, high, through = found["over_ms_median"], found["over_ms_p95"], found["hostile_inside"]
    times = f"{found['sandbox_ms_median']:.0f} ms against {found['bare_ms_median']:.0f} ms"
    rows = [
        Row(f"{name}: over a bare run, median", "≤ 50 ms", f"{median:.1f} ms ({times})", median <= 50),
        Row(f"{name}: the same, 95th percentile", "–", f"{high:.1f} ms", None),
        Row(f"{name}: hostile programs that succeed, of {found['hostile']}", "0", str(len(through)), not through),
        Row(
            f"{name}: of {found['certain']} that succeed anywhere else, those that failed outside too",
            "0",
            str(len(found["not_outside"])),
            not found["not_outside"],
        ),
    ]
    return rows if default else [Row(row.measure, "–", row.measured, None) for row in rows]


def measure(mechanism: str, programs: int) -> dict[str, Any]:
    """One mechanism.

    Args:
        mechanism: a name that `sandbox.mechanism` may have.
        programs: how many different ones are timed.

    Returns: milliseconds `bare_ms_median`, `sandbox_ms_median`, `over_ms_median`, `over_ms_p95`; the numbers of
    `hostile` programs and of `certain` ones; the names of those that succeed, `hostile_inside`, and of the certain ones
    that do not succeed outside, `not_outside`. Where the mechanism does not work: `problem`.
    """
    choice.use(sections.Sandbox(mechanism=mechanism))
    if problem := choice.problem():
        return {"problem": str(problem)}
    bare, sandboxed = [], []
    for number in range(programs):
        program = _PROGRAMS[number % len(_PROGRAMS)].format(number + 1)
        bare.append(_timed(lambda program=program: _bare(program)))
        sandboxed.append(_timed(lambda program=program: _checked(program)))
    over = [inside - outside for outside, inside in zip(bare, sandboxed, strict=True)]
    return {
        "bare_ms_median": statistics.median(bare),
        "sandbox_ms_median": statistics.median(sandboxed),
        "over_ms_median": statistics.median(over),
        "over_ms_p95": statistics.quantiles(over, n=20)[-1],
        **_attacked(_MECHANISMS[mechanism](_LIMITS)),
    }


def _timed(run: Callable[[], None]) -> float:
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * 1000


def _bare(program: str) -> None:
    calls = f"{program}\nprint([f(n) for n in range({_CASES})])"
    subprocess.run([process.interpreter(), "-I", "-S", "-c", calls], check=True, capture_output=True)


def _checked(program: str) -> None:
    cases = [{"args": [number]} for number in range(_CASES)]
    outcome = judge(program, {"type": "python", "function": "f", "cases": cases})
    assert outcome.result is not None, outcome.error


def _attacked(sandbox: Sandbox) -> dict[str, Any]:
    inside, outside = [], []
    for name, body in {**hostile.CERTAIN, **hostile.UNCERTAIN}.items():
        with tempfile.TemporaryDirectory() as folder, hostile.world(Path(folder)) as facts:
            if hostile.succeeds_inside(body, facts, sandbox):
                inside.append(name)
            if name in hostile.CERTAIN and not hostile.succeeds_outside(body, facts):
                outside.append(name)
    return {
        "hostile": len(hostile.CERTAIN) + len(hostile.UNCERTAIN),
        "certain": len(hostile.CERTAIN),
        "not_outside": outside,
        "hostile_inside": inside,
    }


if __name__ == "__main__":
    main()
