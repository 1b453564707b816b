"""metrics: what the store knows, as tables, JSON or CSV."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pipeline.commands.common import Json, current_settings

if TYPE_CHECKING:
    import sqlite3

commands = typer.Typer(
    help="What nights have brought and cost, and how the model does: asked of logs/metrics.sqlite (docs/metrics.md)."
)

Csv = Annotated[bool, typer.Option("--csv", help="The result as CSV, for spreadsheets.")]
Agent = Annotated[str | None, typer.Option(help="Only this model (model.name). Default: all.")]
Days = Annotated[float | None, typer.Option(min=0, help="Only the last so many days. Default: all.")]
Limit = Annotated[int, typer.Option(min=1, help="Most rows.")]
_Answer = TypeVar("_Answer")


@commands.command()
def history(agent: Agent = None, limit: Limit = 50, as_json: Json = False, as_csv: Csv = False) -> None:
    """Every night: how it ended, what it brought, what it took; the newest first.

    Example: nightschool metrics history --limit 7
    """
    from pipeline.commands.tables_of_metrics import show_nights
    from pipeline.metrics.evolutions import history as ask

    _tell(_asked(lambda db: ask(db, agent, limit)), as_json, as_csv, show_nights)


@commands.command()
def top(agent: Agent = None, limit: Limit = 10, as_json: Json = False, as_csv: Csv = False) -> None:
    """The nights that improved the model most, and stayed.

    Example: nightschool metrics top --limit 3
    """
    from pipeline.commands.tables_of_metrics import show_nights
    from pipeline.metrics.evolutions import top as ask

    _tell(_asked(lambda db: ask(db, agent, limit)), as_json, as_csv, show_nights)


@commands.command("success-rate")
def success_rate(agent: Agent = None, days: Days = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """Of the attempts that have ended, how many were deployed and stayed, with the 95 % interval.

    Example: nightschool metrics success-rate --days 30
    """
    from pipeline.commands.tables_of_metrics import show_success_rate
    from pipeline.metrics.evolutions import success_rate as ask

    found = _asked(lambda db: ask(db, agent, days, time.time()), lambda found: bool(found["statuses"]))
    _tell(found, as_json, as_csv, show_success_rate)


@commands.command()
def trends(
    days: Annotated[float, typer.Option(min=0, help="The last so many days.")] = 30,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """What training and harvests took: CPU, memory, GPU memory and network, by day.

    Example: nightschool metrics trends --days 7 --csv
    """
    from pipeline.commands.tables_of_metrics import show_trends
    from pipeline.metrics.evolutions import trends as ask

    _tell(_asked(lambda db: ask(db, days, time.time())), as_json, as_csv, show_trends)


@commands.command()
def kpis(agent: Agent = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """The 18 KPIs as they stand, their overall figure, and whether another night, or another adapter, is due.

    Example: nightschool metrics kpis --json
    """
    from pipeline.commands.tables_of_metrics import show_kpis
    from pipeline.metrics import evolutions
    from pipeline.metrics.kpis import latest

    settings = current_settings()
    name, now = agent or settings.model.name, time.time()

    def ask(db: "sqlite3.Connection") -> dict[str, Any]:
        least, target = settings.dataset.min_failures_to_train, settings.deploy.rollback_threshold_success
        return {
            "kpis": latest(db, name),
            "trajectory": evolutions.trajectory(db, name),
            "evolve": evolutions.should_evolve(db, name, now, least_failures=least, target=target),
            "retire": evolutions.should_retire(db, name, now),
        }

    _tell(_asked(ask, lambda found: bool(found["kpis"])), as_json, as_csv, show_kpis)


@commands.command()
def query(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT; docs/metrics.md has the tables.")],
    limit: Limit = 1000,
    seconds: Annotated[float, typer.Option(min=0.1, help="After which it is given up.")] = 10,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Ask the store in SQL; it can be read, and not changed.

    Example: nightschool metrics query "SELECT day, SUM(queries) FROM daily_summaries GROUP BY day"
    """
    from pipeline.commands.tables_of_metrics import show_rows
    from pipeline.metrics.query import select

    rows, more = _asked(lambda db: select(db, statement, limit, seconds), lambda _: True)
    _tell(rows, as_json, as_csv, show_rows)
    if more:
        typer.echo(f"only the first {limit} rows; --limit asks for more", err=True)


@commands.command()
def rebuild(as_json: Json = False) -> None:
    """Make the store anew from the logs, and read every night from the disk.

    Example: nightschool metrics rebuild
    """
    from pipeline.commands.common import show_result
    from pipeline.recording.rebuild import rebuild as stage

    show_result(stage(current_settings()), as_json)


def _asked(ask: "Callable[[sqlite3.Connection], _Answer]", found: "Callable[[_Answer], bool]" = bool) -> _Answer:
    """What the store answers.

    Raises:
        NothingToDo: nothing, by `found`; or there is no store.
        BadRecordError: it cannot be read.
    """
    from pipeline.lib.errors import NothingToDo
    from pipeline.metrics.store import reading

    path = current_settings().layout.metrics
    with reading(path) as db:
        answer = ask(db)
    if not path.exists() or not found(answer):
        hint = "every stage records itself when it ends; `nightschool metrics rebuild` reads what is on the disk"
        raise NothingToDo("nothing recorded yet", hint)
    return answer


def _tell(answer: Any, as_json: bool, as_csv: bool, words: "Callable[[Any], None]") -> None:
    from pipeline.commands.common import show_result
    from pipeline.lib.errors import UsageError

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", "give one of them")
    if as_csv:
        _write_csv(answer if isinstance(answer, list) else [_flat(answer)])
    else:
        show_result(answer, as_json, words)


def _write_csv(rows: list[dict[str, Any]]) -> None:
    """A terminal gets no control characters, a file gets what there is; what is not known is empty."""
    import csv

    from pipeline.lib.text import printable

    shown = (lambda value: printable(value) if isinstance(value, str) else value) if sys.stdout.isatty() else None
    writer = csv.writer(sys.stdout)
    for row in [list(rows[0]), *(list(each.values()) for each in rows)] if rows else []:
        writer.writerow(map(shown, row) if shown else row)


def _flat(answer: dict[str, Any], before: str = "") -> dict[str, Any]:
    """One line of it: `interval.low`, `kpis.safety`; lists of lines have no room in it."""
    flat: dict[str, Any] = {}
    for name, value in answer.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        elif isinstance(value, tuple):
            flat |= {f"{before}{name}.low": value[0], f"{before}{name}.high": value[1]}
        elif not isinstance(value, list):
            flat[f"{before}{name}"] = value
    return flat
