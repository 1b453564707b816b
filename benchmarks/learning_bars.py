"""What `benchmarks.learning` measures against which bar, from the nights that were played. The worst seed decides."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.nights import SUMS, TEXTS, TEXTS_FROM
from benchmarks.table import Row

Seed = Mapping[str, Any]
Night = Mapping[str, Any]

MOST_DRAFTS, MOST_ROUNDS = 16, 4
AHEAD = 2  # times the points that an alternative gains


def rows_of(seeds: Sequence[Seed]) -> list[Row]:
    """The table; bars of later nights stand only where those were played."""
    nights = min(len(each["nights"]) for each in seeds)
    rows = _first_night(seeds)
    if nights >= 7:
        rows += _seventh_night(seeds)
    rows += _alternatives(seeds)
    if nights >= TEXTS_FROM:
        rows.append(_second_family(seeds))
    return [*rows, *_effort(seeds)]


def _first_night(seeds: Sequence[Seed]) -> list[Row]:
    start = [_percent(each["nights"][0], "before") for each in seeds]
    first = [_percent(each["nights"][0], "after") for each in seeds]
    return [
        Row("held-out success of the fresh base", "45–55 %", _listed(start, " %"), all(45 <= x <= 55 for x in start)),
        Row("held-out success after one night", "≥ 75 % each seed", _listed(first, " %"), min(first) >= 75),
    ]


def _seventh_night(seeds: Sequence[Seed]) -> list[Row]:
    last = [_percent(each["nights"][6], "after") for each in seeds]
    fallen = [len(nights_below(each["nights"][:7])) for each in seeds]
    lost = [100 * forgotten(each["nights"][6]) for each in seeds]
    return [
        Row("held-out success after seven nights", "≥ 98 % each seed", _listed(last, " %"), min(last) >= 98),
        Row(
            "nights after which it is below the interval of an earlier one",
            "0",
            ", ".join(map(str, fallen)),
            not any(fallen),
        ),
        Row(
            "held-out tasks right on day 0 and wrong after night 7 (of those right on day 0)",
            "≤ 0.5 %",
            _listed(lost, " %", digits=2),
            max(lost) <= 0.5,
        ),
    ]


def nights_below(nights: Sequence[Night]) -> list[int]:
    """The nights after which success in sums is below the interval of an earlier night, or of the base."""
    below, lowest = [], nights[0]["before"][SUMS]["interval"][0]
    for night in nights:
        share = night["after"][SUMS]
        if share["success"] < lowest:
            below.append(night["night"])
        lowest = max(lowest, share["interval"][0])
    return below


def forgotten(night: Night) -> float:
    """Of the held-out tasks that were right before the first night, the share that is wrong after this one."""
    kept = night["day_zero"]
    return float(kept["wrong_now"] / kept["right"])


def _alternatives(seeds: Sequence[Seed]) -> list[Row]:
    names = {"plain": "plain recipe", "grpo": "GRPO, the same tokens"}
    rows = []
    for key, name in names.items():
        ours = [_gained(each["nights"][0]) for each in seeds]
        theirs = [_points(each[key]["before"], each[key]["after"]) for each in seeds]
        holds = all(ahead(mine, other) for mine, other in zip(ours, theirs, strict=True))
        rows.append(
            Row(
                f"first night, points gained: ours / {name}",
                f"≥ {AHEAD} ×",
                f"{_listed(ours)} / {_listed(theirs)}",
                holds,
            )
        )
    more = [_points(each["grpo_more"]["before"], each["grpo_more"]["after"]) for each in seeds if "grpo_more" in each]
    if more:
        rows.append(Row("GRPO with ten times the tokens, points gained", "–", _listed(more), None))
    return rows


def ahead(ours: float, theirs: float) -> bool:
    """Whether ours gained so many times what the other did; who gains nothing is not ahead of anybody."""
    return ours > 0 and ours >= AHEAD * theirs


def _second_family(seeds: Sequence[Seed]) -> Row:
    nights = [each["nights"][TEXTS_FROM - 1] for each in seeds]
    gained = [_gained(night, TEXTS) for night in nights]
    lost = [-_gained(night) for night in nights]
    return Row(
        "a second family, asked from day 4 on: points gained in night 4 / points lost in the first",
        "≥ 20 / ≤ 1",
        f"{_listed(gained)} / {_listed(lost)}",
        min(gained) >= 20 and max(lost) <= 1,
    )


def _effort(seeds: Sequence[Seed]) -> list[Row]:
    every = [night for each in seeds for night in each["nights"]]
    in_time = [_longest(each) for each in seeds if each["patience"] <= 1]
    with_more = [_longest(each) for each in seeds if each["patience"] > 1]
    told = [_listed(in_time)] if in_time else []
    told += [f"({_listed(with_more)} with more time allowed than a night has)"] if with_more else []
    drafts, rounds = (max(night[name] for night in every) for name in ("drafts", "rounds"))
    tokens = [each["tokens"] for each in seeds]
    return [
        Row(
            "harvest to deployed, without the watch, minutes (a seed's longest night)",
            "≤ 6",
            " ".join(told),
            max(in_time) <= 6 if in_time else None,
        ),
        Row(
            "answers drawn for a failure in a round / rounds a night, at most",
            f"≤ {MOST_DRAFTS} / ≤ {MOST_ROUNDS}",
            f"{drafts} / {rounds}",
            drafts <= MOST_DRAFTS and rounds <= MOST_ROUNDS,
        ),
        Row("tokens generated in the first night", "–", ", ".join(f"{each:,}" for each in tokens), None),
    ]


def _longest(seed: Seed) -> float:
    """Minutes."""
    return max(float(night["harvest_to_deployed"]) for night in seed["nights"]) / 60


def _percent(night: Night, when: str) -> float:
    return round(100 * float(night[when][SUMS]["success"]), 2)


def _gained(night: Night, family: str = SUMS) -> float:
    return _points(night["before"][family]["success"], night["after"][family]["success"])


def _points(before: float, after: float) -> float:
    """Percentage points; rounded, for a share of 400 has no more digits than these."""
    return round(100 * (after - before), 2)


def _listed(values: Sequence[float], unit: str = "", digits: int = 1) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values) + unit
