"""`make week`: seven days and nights on the embedded default, and the curve of held-out success.

    python -m benchmarks.week [--seed 1] [--draw] [--json]

Played in a fresh folder of its own, which goes away afterwards. The numbers are kept in `results/week.json`, the
picture is `docs/week.png` (matplotlib, extra `pictures`); `--draw` draws both again from the kept numbers.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import week_picture
from benchmarks.home import Home, build_starter
from benchmarks.nights import SUMS, TEXTS, played, variables
from benchmarks.table import RESULTS, Row, finish

NIGHTS = 7
_WIDTH = 60  # characters for 0–100 %
_NAMES = {SUMS: "sums", TEXTS: "texts"}


def play(seed: int) -> list[dict[str, Any]]:
    """The nights of one week."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), variables())
        with home.serving():
            return list(played(home, seed, NIGHTS))


def rows_of(nights: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A line a night, without bars."""
    told = [Row("the fresh base", "–", _both(nights[0]["before"]), None)]
    for night in nights:
        minutes = night["harvest_to_deployed"] / 60
        told.append(Row(f"after night {night['night']}", "–", f"{_both(night['after'])}; {minutes:.1f} minutes", None))
    return told


def _both(shares: Mapping[str, Any]) -> str:
    return ", ".join(f"{_NAMES[family]} {_with_interval(share)}" for family, share in shares.items())


def _with_interval(share: Mapping[str, Any]) -> str:
    low, high = share["interval"]
    return f"{share['success']:.1%} ({100 * low:.1f}–{100 * high:.1f})"


def curve(nights: Sequence[Mapping[str, Any]]) -> str:
    """The curve of each family for a terminal: ├──●──┤ is a share and its interval."""
    scale = f"{'':12}{'0 %':<{_WIDTH // 2 - 2}}{'50 %':<{_WIDTH // 2 - 2}}100 %"
    lines = []
    for family, name in _NAMES.items():
        shares = [nights[0]["before"].get(family), *(night["after"].get(family) for night in nights)]
        if all(shares):
            lines += ["", f"{name}, held-out success", scale]
            lines += [_line("base" if not number else f"night {number}", each) for number, each in enumerate(shares)]
    return "\n".join(lines)


def _line(name: str, share: Mapping[str, Any]) -> str:
    low, high = (round(_WIDTH * each) for each in share["interval"])
    marks = ["·"] * (_WIDTH + 1)
    marks[low : high + 1] = ["─"] * (high + 1 - low)
    marks[low], marks[high], marks[round(_WIDTH * share["success"])] = "├", "┤", "●"
    return f"{name:<12}{''.join(marks)} {_with_interval(share)}"


def kept(name: str) -> dict[str, Any] | None:
    """The last full run of a benchmark."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


def main() -> None:
    """Play, or only draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draw", action="store_true", help="only draw the kept week again")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    week = kept("week") if options.draw else None
    if options.draw and week is None:
        sys.exit("no week has been kept yet: `make week` plays one")
    if week is None:
        build_starter()
        week = {"seed": options.seed, "nights": play(options.seed)}
    print(curve(week["nights"]), file=sys.stderr)
    week_picture.draw(week["nights"], kept("learning"), week_picture.TARGET)
    print(f"\n{week_picture.TARGET}\n", file=sys.stderr)
    if not options.draw:
        finish("week", rows_of(week["nights"]), week, options.json, keep=True)


if __name__ == "__main__":
    main()
