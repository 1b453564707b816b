"""The form of every benchmark: a table *measure | bar | measured | holds*, machine and versions.

A missed bar ends with exit code 1.
"""

import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("torch", "transformers", "peft", "trl")


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. `holds` is None for a figure without a bar."""

    measure: str
    bar: str
    measured: str
    holds: bool | None


def as_table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| measure | bar | measured | holds |", "|---|---|---|---|"]
    for row in rows:
        holds = "–" if row.holds is None else "yes" if row.holds else "NO"
        lines.append(f"| {row.measure} | {row.bar} | {row.measured} | {holds} |")
    return "\n".join(lines)


def finish(name: str, rows: list[Row], details: dict[str, Any], as_json: bool, keep: bool) -> None:
    """Print the table, keep a full run's result, and leave with 1 when a bar is missed."""
    facts = {
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {library: version(library) for library in _LIBRARIES},
        "rows": [asdict(row) for row in rows],
        **details,
    }
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        print(as_table(rows))
        print(f"\n{facts['machine']}; " + ", ".join(f"{key} {value}" for key, value in facts["versions"].items()))
    sys.exit(1 if any(row.holds is False for row in rows) else 0)
