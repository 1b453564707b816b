"""Plots as inline SVG: small, without scripts; colours come from the page's style, so they follow its light or dark.

Each returns the text of an `<svg>`, with a title and a description for those who do not see it. Colour never says
anything alone: shapes and strokes differ too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

_WIDTH, _HEIGHT = 380, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 26
_LABELS = 5  # most of them below a plot, so that they do not touch


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places on the paper."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        return self.begin + (value - self.low) / ((self.high - self.low) or 1) * (self.end - self.begin)


class _Plot:
    """An SVG with a vertical axis, and what is drawn into it."""

    def __init__(self, name: str, title: str, description: str, low: float, high: float, unit: str) -> None:
        box = f"0 0 {_WIDTH} {_HEIGHT}"
        labels = f"{name}-title {name}-desc"
        self.root = Element("svg", {"viewBox": box, "role": "img", "aria-labelledby": labels, "class": "plot"})
        SubElement(self.root, "title", {"id": f"{name}-title"}).text = title
        SubElement(self.root, "desc", {"id": f"{name}-desc"}).text = description
        steps = _ticks(low, high)
        self.y = _Scale(min(low, steps[0]), max(high, steps[-1]), _HEIGHT - _BOTTOM, _TOP)
        for step in steps:
            self.line([(_LEFT, self.y(step)), (_WIDTH - _RIGHT, self.y(step))], "grid")
            self.text(_LEFT - 5, self.y(step) + 4, f"{step:,.10g}{unit}", "end")

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self._add("text", {"x": x, "y": y, "text-anchor": anchor}).text = text

    def line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        places = " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
        self._add("polyline", {"points": places, "class": style})

    def dot(self, x: float, y: float, style: str) -> None:
        self._add("circle", {"cx": x, "cy": y, "r": 4, "class": style})

    def cross(self, x: float, y: float, style: str) -> None:
        shape = f"M{_short(x - 4)} {_short(y - 4)}l8 8m0 -8l-8 8"
        self._add("path", {"d": shape, "class": style})

    def bar(self, x: float, width: float, low: float, high: float, style: str) -> None:
        top, bottom = self.y(high), self.y(low)
        self._add("rect", {"x": x, "y": top, "width": width, "height": max(0.0, bottom - top), "class": style})

    def under(self, places: Sequence[float], labels: Sequence[str]) -> None:
        """Write labels below, not more than there is room for; the last one always."""
        step = ceil(len(labels) / _LABELS) or 1
        for number in range(len(labels) - 1, -1, -step):
            self.text(places[number], _HEIGHT - 8, labels[number], "middle")

    def __str__(self) -> str:
        return tostring(self.root, encoding="unicode")

    def _add(self, tag: str, values: dict[str, Any]) -> Element:
        return SubElement(
            self.root, tag, {key: value if isinstance(value, str) else _short(value) for key, value in values.items()}
        )


def success_by_night(nights: Sequence[dict[str, Any]]) -> str:
    """Held-out success of each night that has one, with its interval: the incumbent's, the candidate's, what served."""
    shown = [each for each in nights if each["held_out"]]
    sides = [each["held_out"] for each in shown]
    values = [100 * part for side in sides for when in ("before", "after") for part in _reach(side[when])]
    told = "; ".join(
        f"{each['night'][:8]}: {100 * side['before']['success']:.1f} to {100 * side['after']['success']:.1f} %, "
        f"{each['kind'].replace('_', ' ')}"
        for each, side in zip(shown, sides, strict=True)
    )
    plot = _Plot("success", "Held-out success by night", told, max(0, min(values) - 2), min(100, max(values) + 2), "%")
    places = _places(len(shown))
    served: list[tuple[float, float]] = []
    for x, each, side in zip(places, shown, sides, strict=True):
        deployed = each["kind"] == "deployed"
        for offset, when, style in ((-5, "before", "old"), (5, "after", "new")):
            low, high = (plot.y(100 * part) for part in _reach(side[when]))
            plot.line([(x + offset, low), (x + offset, high)], f"whisker {style}")
        before, after = (plot.y(100 * side[when]["success"]) for when in ("before", "after"))
        served += [(x - 5, before), (x + 5, after if deployed else before)]
        plot.dot(x - 5, before, "old")
        (plot.dot if deployed else plot.cross)(x + 5, after, "new")
    plot.line(served, "served")
    plot.under(places, _moments([each["night"] for each in shown]))
    return str(plot)


def training_curve(points: Sequence[tuple[float, float]]) -> str:
    """The loss of a training, step by step."""
    losses = [loss for _, loss in points]
    told = f"from {losses[0]:.4g} at step {points[0][0]:.0f} to {losses[-1]:.4g} at step {points[-1][0]:.0f}"
    plot = _Plot("curve", "Training loss by step", told, 0, max(losses), "")
    x = _Scale(points[0][0], points[-1][0], _LEFT + 6, _WIDTH - _RIGHT - 12)
    plot.line([(x(step), plot.y(loss)) for step, loss in points], "new stroke")
    plot.under([x(step) for step, _ in points], [f"{step:.0f}" for step, _ in points])
    return str(plot)


def requests_by_day(days: Sequence[dict[str, Any]]) -> str:
    """Requests of each day, failed ones apart."""
    told = "; ".join(f"{day['day']}: {day['queries']:,}, {day['errors']:,} failed" for day in days)
    plot = _Plot("requests", "Requests a day", told, 0, max(day["queries"] for day in days), "")
    places, width = _places(len(days)), 0.7 * (_WIDTH - _LEFT - _RIGHT) / len(days)
    for x, day in zip(places, days, strict=True):
        plot.bar(x - width / 2, width, day["errors"], day["queries"], "good")
        plot.bar(x - width / 2, width, 0, day["errors"], "bad")
    plot.under(places, [day["day"][5:] for day in days])
    return str(plot)


def latency_by_day(days: Sequence[dict[str, Any]], target: float) -> str:
    """Median and 95th percentile of each day that had requests, and the target of the mean."""
    shown = [(number, day) for number, day in enumerate(days) if day["latency_ms"]["p50"] is not None]
    told = "; ".join(
        f"{day['day']}: half within {day['latency_ms']['p50']:,.0f} ms, 95 % within {day['latency_ms']['p95']:,.0f} ms"
        for _, day in shown
    )
    highest = max(day["latency_ms"]["p95"] for _, day in shown)
    near = target <= 3 * highest  # a target far above would press the lines flat
    plot = _Plot("latency", "Latency a day (ms)", told, 0, max(highest, target if near else 0), "")
    places = _places(len(days))
    for name, style in (("p50", "new"), ("p95", "old")):
        points = [(places[number], plot.y(day["latency_ms"][name])) for number, day in shown]
        plot.line(points, f"{style} stroke")
        for point in points:
            plot.dot(*point, style)
    if near:
        plot.line([(_LEFT, plot.y(target)), (_WIDTH - _RIGHT, plot.y(target))], "target")
    plot.under(places, [day["day"][5:] for day in days])
    return str(plot)


def _moments(runs: Sequence[str]) -> list[str]:
    """The days of run ids; their times where all are of one day."""
    if len({run[:8] for run in runs}) == 1 < len(runs):
        return [f"{run[9:11]}:{run[11:13]}" for run in runs]
    return [f"{run[4:6]}-{run[6:8]}" for run in runs]


def _reach(side: dict[str, Any]) -> tuple[float, float]:
    low, high = side["interval"] or (side["success"], side["success"])
    return low, high


def _places(count: int) -> list[float]:
    room = (_WIDTH - _LEFT - _RIGHT) / max(1, count)
    return [_LEFT + room * (number + 0.5) for number in range(count)]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers that span the range: about four of them."""
    rough = (high - low or 1) / 4
    size = 10 ** floor(log10(rough))
    step = next(size * each for each in (1, 2, 5, 10) if size * each >= rough)
    begin, end = floor(low / step), ceil(high / step)
    return [round(number * step, 10) for number in range(begin, max(end, begin + 1) + 1)]


def _short(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")
