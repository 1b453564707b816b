"""Draws docs/week.png: held-out success after each night, with its interval, and what two other ways came to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.home import REPOSITORY
from benchmarks.nights import SUMS, TEXTS, TEXTS_FROM

TARGET = REPOSITORY / "docs" / "week.png"
INK, PAPER, GRID = "#222222", "#ffffff", "#e4e4e4"
_FAMILIES = ((SUMS, "sums", "#1f6fb4"), (TEXTS, f"texts, asked from day {TEXTS_FROM} on", "#c96a10"))
_ALTERNATIVES = (
    ("plain", "one night of the plain recipe", "#777777", ":"),
    ("grpo", "GRPO, tokens of one night", "#777777", "--"),
)
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same letters
    "font.size": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
Line = tuple[list[float], list[float], list[float]]  # percent: success, from, to; the base first, then night by night


def points(nights: Sequence[Mapping[str, Any]], family: str) -> Line | None:
    """The curve of a family; none where the hold-out of that family was not asked."""
    shares = [nights[0]["before"].get(family), *(night["after"].get(family) for night in nights)]
    if not all(shares):
        return None
    success = [100 * share["success"] for share in shares]
    low, high = ([100 * share["interval"][end] for share in shares] for end in (0, 1))
    return success, low, high


def levels(learning: Mapping[str, Any] | None) -> list[tuple[str, float, str, str]]:
    """What the alternatives came to on the hold-out, in percent, mean of the seeds: name, height, colour, dashes."""
    seeds = learning["seeds"] if learning else []
    drawn = []
    for key, name, colour, dashes in _ALTERNATIVES:
        reached = [100 * float(each[key]["after"]) for each in seeds if key in each]
        if reached:
            drawn.append((name, sum(reached) / len(reached), colour, dashes))
    return drawn


def draw(nights: Sequence[Mapping[str, Any]], learning: Mapping[str, Any] | None, target: Path) -> None:
    """Write the picture.

    Args:
        nights: as `benchmarks.nights.played` tells them, from the first on.
        learning: the kept result of `benchmarks.learning`, for the alternatives.
        target: a PNG file; the same numbers make the same bytes.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(8, 4.2), dpi=150, facecolor=PAPER, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot(facecolor=PAPER)
        for family, name, colour in _FAMILIES:
            line = points(nights, family)
            if line:
                _draw_family(axes, line, name, colour)
        for name, height, colour, dashes in levels(learning):
            axes.axhline(height, color=colour, linestyle=dashes, linewidth=1.4, label=f"{name}: {height:.1f} %")
        _frame(axes, len(nights))
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, format="png", metadata={"Software": None})


def _draw_family(axes: Any, line: Line, name: str, colour: str) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground=PAPER)]
    success, low, high = line
    numbers = range(len(success))
    axes.fill_between(numbers, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(numbers, success, color=colour, marker="o", markersize=5, linewidth=2, label=name)
    for number, value in enumerate(success):
        place = (0, 8 if name == "sums" else -16)
        told = {"ha": "center", "fontsize": 9, "color": colour, "path_effects": halo}
        axes.annotate(f"{value:.0f}", (number, value), place, textcoords="offset points", **told)


def _frame(axes: Any, nights: int) -> None:
    axes.set_title("Held-out success after each night, with its 95 % interval", loc="left", fontsize=12)
    axes.set_xlabel("night")
    axes.set_ylabel("tasks answered rightly, %")
    axes.set_xticks(range(nights + 1), ["base", *map(str, range(1, nights + 1))])
    axes.set_ylim(0, 105)
    axes.set_yticks(range(0, 101, 20))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", frameon=False, fontsize=9.5)
