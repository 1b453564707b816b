"""What the commands share: the global options, a stage under its lock, how a result is shown.

Nothing heavy is imported on the way to --help.
"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.lib.config import Settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON, for machines.")]
Run = Annotated[str | None, typer.Option("--run", help="Run id, such as 20261120T020000Z. Default: NIGHTSCHOOL_RUN.")]


# Each changes what serves, and proves that it has: two at once would take each other's answers for their own.
_SWAPPING = ("deploy", "rollback", "switch-base")


class Shared:
    """What the global options said."""

    home: Path | None = None
    flags: dict[str, str]


def current_settings() -> "Settings":
    """The settings in force, with the global options on top."""
    from pipeline.backends.sandboxes import choice as sandbox
    from pipeline.lib.config import load

    settings = load(Shared.home, Shared.flags)
    sandbox.use(settings.sandbox)
    return settings


def run_stage(
    name: str,
    run: str | None,
    as_json: bool,
    dry_run: bool,
    job: "Callable[[Settings, str], dict[str, Any]]",
    words: "Callable[[dict[str, Any]], None] | None" = None,
) -> None:
    """Run a stage and show its result, in `words` if there are any."""
    show_result(stage_result(name, run, dry_run, job), as_json, words)


def stage_result(
    name: str, run: str | None, dry_run: bool, job: "Callable[[Settings, str], dict[str, Any]]"
) -> dict[str, Any]:
    """Run a stage under its lock and record how it ended (log and metrics); a dry run leaves no trace.

    `run` is a run id, or says which run a stage goes on with when nothing names one: `dataset` (the latest built),
    `latest` (the generation trained last), `last` (whatever ran last), none (a new one).
    """
    from pipeline.lib.files import locked
    from pipeline.lib.runs import current_run, recorded
    from pipeline.recording.stages import recording

    settings = current_settings()
    layout = settings.layout
    this_run = current_run(layout, run)
    if dry_run:
        return job(settings, this_run)
    with (
        locked(layout.lock(name.replace(" ", "-")), name),
        locked(layout.lock("serving"), "deploy, rollback or switch-base") if name in _SWAPPING else nullcontext(),
        recording(settings, this_run, name) as metrics,
        recorded(layout, this_run, name) as stage,
    ):
        result = job(settings, this_run)
        stage.outputs = {key: value for key, value in result.items() if isinstance(value, str | int | float)}
        metrics.outputs = stage.outputs
    return result


def show_result(result: dict[str, Any], as_json: bool, words: "Callable[[dict[str, Any]], None] | None" = None) -> None:
    """Print a result: as JSON, in the words that the stage offers, or as plain `key: value` lines."""
    if as_json:
        typer.echo(json.dumps(result, indent=2, default=str))
    elif words:
        words(result)
    else:
        for key, value in result.items():
            typer.echo(f"{key}: {json.dumps(value, default=str) if isinstance(value, dict | list) else value}")


def show_table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print rows in columns; what is none is a dash. No text can draw, colour or break a line."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.lib.text import printable

    def cell(value: Any) -> Text:
        return Text("–" if value is None else printable(str(value)))

    table = Table()
    for column in columns:
        table.add_column(cell(column), overflow="fold")  # an id is never cut
    for row in rows:
        table.add_row(*map(cell, row))
    Console(highlight=False, width=None if Console().is_terminal else 160).print(table)


def moment(written: str | None) -> float | None:
    """Seconds since 1970 of a date or date and time; UTC unless it says otherwise."""
    from datetime import UTC, datetime

    from pipeline.lib.errors import UsageError

    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise UsageError(f"{written!r} is no date", "write 2026-11-20 or 2026-11-20T22:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
