"""sources: where conversations are, and which of these places a harvest reads."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pipeline.commands.common import Json, current_settings, moment, show_result

commands = typer.Typer(
    help="Where conversations are on this machine, and what a harvest would get from there.",
    invoke_without_command=True,
)
Since = Annotated[str | None, typer.Option(help="Only what was asked or rated since then (UTC date or date and time).")]
Until = Annotated[str | None, typer.Option(help="… and before then.")]
Place = Annotated[str, typer.Argument(help="kind, or kind:path with a path relative to the home, such as llm.")]

_WIDE = 140  # columns of a terminal that hold the table
_COLUMNS = ("rows", "failures", "up", "down", "edited", "preferred", "errors", "users", "first", "last", "problems")


@commands.callback()
def sources_group(context: typer.Context, since: Since = None, until: Until = None, as_json: Json = False) -> None:
    """Without a sub-command: the same as `list`."""
    if context.invoked_subcommand is None:
        sources_list(since, until, as_json)


@commands.command("list")
def sources_list(since: Since = None, until: Until = None, as_json: Json = False) -> None:
    """The places that are configured or found, and what each would give in a window (default: everything)."""
    from pipeline.sources import sources as stage

    show_result(stage(current_settings(), moment(since), moment(until)), as_json, show_sources)


@commands.command("add")
def sources_add(place: Place, as_json: Json = False) -> None:
    """Have harvests read this place: writes it into nightschool.toml, after it could be read once."""
    from pipeline.sources import add as stage

    show_result(stage(current_settings(), place), as_json, _show_added)


@commands.command("remove")
def sources_remove(place: Place, as_json: Json = False) -> None:
    """Have harvests leave this place alone."""
    from pipeline.sources import remove as stage

    show_result(stage(current_settings(), place), as_json)


def show_sources(result: dict[str, Any]) -> None:
    """A table on a terminal that is wide enough, else a line a source; then what could not be read."""
    found = result["sources"]
    if not found:
        typer.echo("no sources configured, none found on this machine")
        typer.echo("name one: nightschool sources add kind:path (see docs/sources.md)")
        return
    readable = [each for each in found if "error" not in each]
    _show_counts(readable)
    for each in found:
        if "error" in each:
            typer.echo(f"{each['source']}  error: {each['error']}")
    for each in readable:
        for problem in each["problems"]:
            places = ", ".join(problem["places"]) + (", …" if problem["count"] > len(problem["places"]) else "")
            typer.echo(f"{each['source']}: {problem['count']} × {problem['reason']} ({places})")
    for each in readable:
        if not each["configured"]:
            typer.echo(f"not read at night: {each['source']}  (nightschool sources add {each['source']})")


def _show_counts(readable: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal or console.width < _WIDE:
        for each in readable:
            typer.echo(f"{each['source']}  {_plain(_cells(each))}")
    elif readable:
        table = Table("source", *_COLUMNS)
        for each in readable:
            table.add_row(each["source"], *_cells(each).values())
        console.print(table)


def _show_added(result: dict[str, Any]) -> None:
    done = "added" if result["added"] else "was there already"
    typer.echo(f"{result['source']}: {done}; {_plain(_cells(result))}")


def _cells(each: dict[str, Any]) -> dict[str, str]:
    """The counts as words, in the order of the columns."""
    failures = ", ".join(f"{count} {signal}" for signal, count in each["failures"].items())
    return {
        "rows": str(each["rows"]),
        "failures": failures or "–",
        "up": str(each["thumbs_up"]),
        "down": str(each["thumbs_down"]),
        **{name: str(each[name]) for name in ("edited", "preferred", "errors", "users")},
        "first": _day(each["first"]),
        "last": _day(each["last"]),
        "problems": str(sum(problem["count"] for problem in each["problems"])),
    }


def _plain(cells: dict[str, str]) -> str:
    return "  ".join(f"{name} {value}" for name, value in cells.items())


def _day(at: float | None) -> str:
    """A moment in UTC; a clock that was far off is shown as it is."""
    try:
        return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{at:.0f}"
