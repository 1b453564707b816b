"""What recording costs, what a kill takes, and how fast a store of ten million requests tells of a week.

python -m benchmarks.metrics [--quick] [--json]

Four processes write into one store as fast as they can; beside it, in the same run, the same rows a transaction each,
and through sqlite-utils. Then processes are killed while they write, fifty times two. Two gateways before the same
engine, one of which records, are asked in turn. The figures of a week come from the daily tables, and from the rows
in plain SQL.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import metrics_gateway, metrics_week, metrics_writers
from benchmarks.table import Row, finish

FULL = {"rows": 50_000, "single": 5_000, "kills": 50, "requests": 3_000, "millions": 10.0}
QUICK = {"rows": 10_000, "single": 1_000, "kills": 10, "requests": 500, "millions": 0.5}


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer of everything, half a million requests")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), QUICK if arguments.quick else FULL)
    finish("metrics", as_rows(found), {"measured": found}, arguments.json, keep=not arguments.quick)


def measure(folder: Path, size: dict[str, Any]) -> dict[str, Any]:
    """Everything; processes are forked before anything starts a thread."""
    found: dict[str, Any] = {"size": size}
    ways = (
        (metrics_writers.buffered, "rows"),
        (metrics_writers.one_by_one, "single"),
        (metrics_writers.sqlite_utils, "single"),
    )
    found["speed"] = {way.__name__: round(metrics_writers.speed(folder, way, size[rows])) for way, rows in ways}
    found["kills"] = metrics_writers.kills(folder, size["kills"])
    found["week"] = metrics_week.measure(folder / "week.sqlite", round(size["millions"] * 1_000_000))
    found["add_us"] = round(metrics_gateway.microseconds_of_add(folder, size["requests"]), 1)
    found["gateway_ms"] = metrics_gateway.medians(metrics_gateway.overhead(folder, size["requests"]))
    return found


def as_rows(found: dict[str, Any]) -> list[Row]:
    """The table."""
    speed, kills, week, gateway = found["speed"], found["kills"], found["week"], found["gateway_ms"]
    return [
        Row(
            f"{metrics_writers.PROCESSES} processes together, rows a second",
            "≥ 20,000",
            f"{speed['buffered']:,}",
            speed["buffered"] >= 20_000,
        ),
        *(
            Row(f"{label}, rows a second", "–", f"{speed[way]:,} (1/{speed['buffered'] / speed[way]:.1f})", None)
            for way, label in (
                ("one_by_one", "a transaction for each row"),
                ("sqlite_utils", "sqlite-utils, a call for each row, no daily tables"),
            )
        ),
        Row(
            f"{2 * found['size']['kills']} kills, {kills['added']:,} rows: lost of those flushed, doubled",
            "0, 0",
            f"{kills['lost']}, {kills['doubled']}",
            kills["lost"] == kills["doubled"] == 0,
        ),
        Row(
            "most that one kill took of those not flushed",
            f"≤ {metrics_writers.BUFFER}",
            str(kills["most"]),
            kills["most"] <= metrics_writers.BUFFER,
        ),
        Row("daily tables equal to the rows afterwards", "yes", "yes" if kills["agree"] else "no", kills["agree"]),
        Row(
            "recording a served request, median",
            "≤ 0.2 ms",
            f"{gateway['more']:.3f} ms (of {gateway['with']:.2f} ms; `add` alone {found['add_us']} µs)",
            gateway["more"] <= 0.2,
        ),
        Row(
            f"seven days' figures, {found['size']['millions']:g} million requests in {week['megabytes']:,} MB",
            "≤ 1 s",
            f"{week['summaries']:.3f} s",
            week["summaries"] <= 1,
        ),
        Row(
            "the same from the rows in plain SQL",
            "–",
            f"{week['rows']:.2f} s (× {week['rows'] / week['summaries']:,.0f})",
            None,
        ),
        Row("both agree", "yes", "yes" if week["agree"] else "no", week["agree"]),
        Row("quantiles off by", "≤ 5 %", f"{week['deviation']:.1%}", week["deviation"] <= 0.05),
    ]


if __name__ == "__main__":
    main()
