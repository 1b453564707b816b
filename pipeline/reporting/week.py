"""Some days for a terminal: a first line in plain words, tables, a last line with what to do."""

from collections.abc import Iterable
from typing import Any

from pipeline.lib.text import visible
from pipeline.reporting import words

ENDINGS = {
    "deployed": "deployed",
    "refused": "refused",
    "inconclusive": "too little evidence",
    "awaiting": "awaiting approval",
    "rejected": "rejected",
    "lapsed": "not approved in time",
    "rolled_back": "rolled back",
    "nothing": "nothing to learn",
    "failed": "failed",
    "unfinished": "not finished",
}


def show_week(week: dict[str, Any]) -> None:
    """Print it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, width=None if Console().is_terminal else 118)
    console.print(Text(words.week_line(week), "bold"))
    for title, columns, rows in (
        ("Against the targets", ("measure", "measured", "target", "reached", "95 % interval"), _targets(week)),
        ("What the answers were made from", ("type", "requests", "share", "95 % interval"), _types(week)),
        ("Satisfaction", ("up", "down", "written anew", "comments", "satisfied", "95 % interval"), _opinions(week)),
        (
            "Days (UTC)",
            ("day", "requests", "failed", "mean", "p50", "p95", "first token", "tokens", "history", "tools", "up"),
            _days(week),
        ),
        ("Nights", ("night", "ending", "held-out", "why"), _nights(week)),
        ("Against the days before", ("measure", "before", "now", "change"), _trends(week)),
    ):
        _print(console, title, columns, rows)
    for step in words.week_steps(week):
        console.print(Text(f"next: {step}"))


def _print(console: Any, title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title, title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    if table.rows:
        console.print(table)


def _targets(week: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            each["name"],
            words.milliseconds(each["value"]) if each["unit"] == "ms" else words.percent(each["value"]),
            words.target(each),
            each["state"] if each["value"] is not None else "–",
            words.between(each["interval"], 1),
        )
        for each in week["targets"]
    ]


def _types(week: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (name, f"{each['queries']:,}", words.percent(each["share"]), words.between(each["interval"], 1))
        for name, each in week["query_types"].items()
    ]


def _opinions(week: dict[str, Any]) -> list[tuple[str, ...]]:
    said = week["satisfaction"]
    counts = (str(said[name]) for name in ("thumbs_up", "thumbs_down", "edits", "comments"))
    return [(*counts, words.percent(said["rate"]), words.between(said["interval"], 1))]


def _days(week: dict[str, Any]) -> list[tuple[str, ...]]:
    opinions = {each["day"]: each for each in week["satisfaction"]["daily"]}
    return [
        (
            each["day"],
            f"{each['queries']:,}",
            f"{each['errors']:,}",
            *(words.milliseconds(each["latency_ms"][name]) for name in ("mean", "p50", "p95")),
            words.milliseconds(each["first_token_ms"]),
            f"{each['tokens']:,}",
            *(_dash(each[f"{name}_share"]) for name in ("history", "tools")),
            f"{opinions[each['day']]['thumbs_up']}/{opinions[each['day']]['n']}",
        )
        for each in week["daily"]
    ]


def _nights(week: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (each["night"], ENDINGS[each["kind"]], held_out(each), visible(each["reason"] or "", 200))
        for each in week["nights"]
    ]


def held_out(night: dict[str, Any]) -> str:
    """Before and after of a night."""
    if not night["held_out"]:
        return "–"
    before, after = (100 * night["held_out"][when]["success"] for when in ("before", "after"))
    return f"{before:.1f} → {after:.1f} %"


def _trends(week: dict[str, Any]) -> list[tuple[str, ...]]:
    if not week["before"]["queries"]:
        return []
    return [
        (
            name.removesuffix("_ms").replace("_", " "),
            words.measured(name, each["before"]),
            words.measured(name, each["now"]),
            words.trend(name, each),
        )
        for name, each in week["trends"].items()
    ]


def _dash(share: float | None) -> str:
    return "–" if share is None else words.percent(share, 0)
