"""This window of days against the one before it: what has changed by more than noise, and is that good?

A word is given only where the change is sure (the 99 % interval, over requests, leaves zero out) and large enough to
matter. A day is not a random sample of requests: with very many of them everything is sure, hence the second rule.
"""

from typing import Any

from pipeline.metrics.intervals import Interval, mean_change, share_change
from pipeline.metrics.summaries import BUCKET

Histogram = dict[int, int]  # bucket → requests

_CONFIDENCE = 0.99
_POINTS = 0.01  # a share changes by one point or more, or it does not change
_PART = 0.05  # a latency by 5 %, which is what the buckets can tell apart

Side = tuple[dict[str, Any], dict[str, Any], Histogram]


def trends(before: Side, now: Side) -> dict[str, dict[str, Any]]:
    """{measure: {before, now, change, interval, word, better}}; a side is its totals, satisfaction and histogram.

    `word` is "rose", "fell", or none where it may be noise; `better` says whether that is good, none where it is
    neither. `queries` has no word: more or fewer questions are neither, and today is not over.
    """
    (first, opinions, histogram), (second, later_opinions, later_histogram) = before, now
    shares = {
        "error_rate": ((first["errors"], first["queries"]), (second["errors"], second["queries"]), False),
        "satisfaction": (
            (opinions["thumbs_up"], opinions["n"]),
            (later_opinions["thumbs_up"], later_opinions["n"]),
            True,
        ),
        **{
            f"{name}_share": ((first[name], first["queries"]), (second[name], second["queries"]), None)
            for name in ("history", "tools")
        },
    }
    return {
        "queries": _trend(first["queries"], second["queries"], None, 0, None),
        "latency_ms": _latency(first["latency_ms"]["mean"], second["latency_ms"]["mean"], histogram, later_histogram),
        **{
            name: _trend(_share(*was), _share(*is_now), share_change(was, is_now, _CONFIDENCE), _POINTS, more_is_better)
            for name, (was, is_now, more_is_better) in shares.items()
        },
    }


def _latency(was: float | None, is_now: float | None, first: Histogram, second: Histogram) -> dict[str, Any]:
    if was is None or is_now is None:
        return _trend(was, is_now, None, 0, False)
    interval = mean_change((was, *_spread(first)), (is_now, *_spread(second)), _CONFIDENCE)
    return _trend(was, is_now, interval, _PART * was, False)


def _spread(histogram: Histogram) -> tuple[float, int]:
    """Variance and number of the latencies; the middle of its bucket stands for each."""
    total = sum(histogram.values())
    values = [(BUCKET ** (bucket + 0.5), count) for bucket, count in histogram.items()]
    mean = sum(value * count for value, count in values) / total if total else 0.0
    return sum(count * (value - mean) ** 2 for value, count in values) / max(1, total - 1), total


def _trend(
    was: float | None, is_now: float | None, interval: Interval | None, smallest: float, more_is_better: bool | None
) -> dict[str, Any]:
    change = None if was is None or is_now is None else is_now - was
    word = None
    if change is not None and interval and abs(change) >= smallest and not interval[0] <= 0 <= interval[1]:
        word = "rose" if change > 0 else "fell"
    better = None if word is None or more_is_better is None else (word == "rose") == more_is_better
    return {"before": was, "now": is_now, "change": change, "interval": interval, "word": word, "better": better}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
