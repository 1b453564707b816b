"""What it costs to look at what a stage takes: one sample, and its share of a core at the default interval.

python -m benchmarks.resources [--quick] [--json]

Measured in seconds of a processor, which other programs on the machine cannot lengthen much: of a process alone, and
of one with 50 children (workers, sandboxes), each of which is looked at.
"""

import argparse
import statistics
import subprocess
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.table import Row, finish
from pipeline.lib.sections import Metrics
from pipeline.metrics.resources import Probe

CHILDREN = 50


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="20 samples instead of 300")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    samples, seconds = 20 if arguments.quick else 300, Metrics().resource_seconds
    alone, many = sample_ms(0, samples), sample_ms(CHILDREN, samples)
    rows = [
        Row("one sample, a process alone", "≤ 5 ms", f"{alone:.2f} ms", alone <= 5),
        Row(f"one sample, a process with {CHILDREN} children", "≤ 50 ms", f"{many:.2f} ms", many <= 50),
        share(f"of a core, alone, every {seconds:g} s", "≤ 0.1 %", alone / 1000 / seconds, 0.001),
        share(f"of a core, with {CHILDREN} children, every {seconds:g} s", "≤ 1 %", many / 1000 / seconds, 0.01),
    ]
    measured: dict[str, Any] = {"alone_ms": alone, "many_ms": many, "children": CHILDREN, "seconds": seconds}
    finish("resources", rows, {"measured": measured}, arguments.json, keep=not arguments.quick)


def share(measure: str, bar: str, value: float, most: float) -> Row:
    """A row with a share in percent."""
    return Row(measure, bar, f"{100 * value:.3f} %", value <= most)


def sample_ms(children: int, samples: int) -> float:
    """Milliseconds of a processor for one sample, the median."""
    with ExitStack() as processes:
        for _ in range(children):
            child = processes.enter_context(subprocess.Popen(["sleep", "600"]))
            processes.callback(child.kill)
        probe = Probe()
        probe.read()
        spent = []
        for _ in range(samples):
            begun = time.thread_time()
            probe.read()
            spent.append(time.thread_time() - begun)
    return 1000 * statistics.median(spent)


if __name__ == "__main__":
    main()
