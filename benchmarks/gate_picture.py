"""Draws docs/gate.svg: how the evidence grows in three seeded nights, as the shipped gate sees it.

python -m benchmarks.gate_picture
"""

import math
from pathlib import Path

import numpy

from benchmarks.gate import ALPHA, MARGIN, histories
from pipeline.gate.sequential import Leg, difference

TARGET = Path(__file__).resolve().parent.parent / "docs" / "gate.svg"
WIDTH, HEIGHT, LEFT, TOP = 720, 330, 60, 40
PAIRS, LOWEST, HIGHEST = 200, 0.01, 1000.0
NIGHTS = (
    ("10 points worse: the evidence of harm", 0.85, "harm", "#c0392b"),
    ("as good: the evidence of no loss", 0.95, "kept", "#2471a3"),
    ("as good: the evidence of harm", 0.95, "harm", "#95a5a6"),
)


def curve(success: float, game: str) -> list[float]:
    """The e-value after each pair."""
    (history,) = histories(numpy.random.default_rng([11, int(success * 100)]), 1, success, PAIRS)
    leg, values = Leg("overall", ALPHA, MARGIN), [1.0]
    for ours, theirs in history.tolist():
        leg.add([difference(ours, theirs)])
        values.append(float(getattr(leg, game)))
    return values


def x(pair: float) -> float:
    """Pixels from the left."""
    return LEFT + pair / PAIRS * (WIDTH - LEFT - 20)


def y(value: float) -> float:
    """Pixels from the top, on a logarithmic scale."""
    inside = min(HIGHEST, max(LOWEST, value))
    share = (math.log10(inside) - math.log10(LOWEST)) / (math.log10(HIGHEST) - math.log10(LOWEST))
    return TOP + (1 - share) * (HEIGHT - TOP - 50)


def label(left: float, top: float, text: str, colour: str = "#555", anchor: str = "start") -> str:
    """A piece of text."""
    return f'<text x="{left:.0f}" y="{top:.0f}" fill="{colour}" text-anchor="{anchor}">{text}</text>'


def picture() -> str:
    """The whole SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        label(LEFT, 20, "What 1 unit of stake has become, after each question that both models answered", "#222"),
    ]
    for value in (0.01, 0.1, 1, 10, 100, 1000):
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - 20}" stroke="#eee"/>')
        parts.append(label(LEFT - 6, y(value) + 4, f"{value:g}", anchor="end"))
    parts += [label(x(pair), HEIGHT - 30, str(pair), anchor="middle") for pair in range(0, PAIRS + 1, 50)]
    parts.append(label(x(PAIRS / 2), HEIGHT - 10, "questions", anchor="middle"))
    needed = 1 / ALPHA
    parts.append(f'<path d="M{LEFT} {y(needed):.1f}H{WIDTH - 20}" stroke="#222" stroke-dasharray="5 4"/>')
    parts.append(label(WIDTH - 24, y(needed) - 6, f"enough evidence: {needed:g}", "#222", "end"))
    for number, (name, success, game, colour) in enumerate(NIGHTS):
        points = " ".join(f"{x(pair):.1f},{y(value):.1f}" for pair, value in enumerate(curve(success, game)))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(label(LEFT + 12, TOP + 18 + 18 * number, name, colour))
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
    print(TARGET)
