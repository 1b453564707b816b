"""Nights, KPIs and resources as tables for people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from pipeline.commands.common import show_table

Row = dict[str, Any]


def show_nights(rows: list[Row]) -> None:
    """One line a night."""
    columns = (
        *("night", "model", "ended", "held out", "improved", "an hour", "rows", "loss", "minutes", "CPU %", "MB"),
        *("GPU MB", "error"),
    )
    shown = [
        (
            each["run"],
            each["agent"],
            f"{each['status'].replace('_', ' ')} ({each['evolution_type']})",
            _from_to(each["performance_before"], each["performance_after"]),
            *(_written("{:+.1%}", each[name]) for name in ("improvement", "efficiency")),
            each["samples"],
            _written("{:.4f}", each["loss"]),
            f"{each['seconds'] / 60:.1f}",
            *(_written("{:.0f}", each[name]) for name in ("cpu_percent", "memory_used_mb", "gpu_memory_used_mb")),
            each["error"],
        )
        for each in rows
    ]
    _show_known(columns, shown)


def show_success_rate(found: Row) -> None:
    """One sentence, and what the others came to."""
    if found["attempts"]:
        low, high = found["interval"]
        typer.echo(
            f"{found['deployed']} of {found['attempts']} attempts were deployed and stayed: "
            f"{found['rate']:.0%} [{low:.0%}, {high:.0%}]"
        )
    else:
        typer.echo("no attempt has ended yet")
    typer.echo(", ".join(f"{count} × {status.replace('_', ' ')}" for status, count in found["statuses"].items()))


def show_trends(rows: list[Row]) -> None:
    """One line a day and stage."""
    names = ("cpu_percent", "memory_used_mb", "gpu_memory_used_mb", "network_mb")
    shown = [
        (each["day"], each["stage"], each["runs"], each["samples"], *(_written("{:.0f}", each[name]) for name in names))
        for each in rows
    ]
    columns = ("day (UTC)", "stage", "runs", "samples", "mean CPU %", "most memory MB", "most GPU MB", "network MB")
    show_table(columns, shown)


def show_kpis(found: Row) -> None:
    """One line a KPI, the overall figure, what is due."""
    from pipeline.metrics.kpis import KPIS

    latest = found["kpis"]
    rows = [
        (
            name,
            _in_units(latest[name], kpi.unit),
            ("≥ " if kpi.higher_is_better else "≤ ") + str(_in_units(kpi.target, kpi.unit)),
            None if latest[name] is None else f"{kpi.score(latest[name]):.2f}",
            kpi.description,
        )
        for name, kpi in KPIS.items()
    ]
    show_table(("KPI", "value", "target", "score", "meaning"), rows)
    moment = datetime.fromtimestamp(latest["at"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    overall = _written("{:.2f}", latest["overall_performance"]) or "nothing is measured"
    typer.echo(f"overall performance of {latest['agent']}, {moment}: {overall}")
    if found["trajectory"]:
        fitness = found["trajectory"][-1]
        typer.echo(f"held-out success: serving {fitness['serving']:.1%}, the best so far {fitness['best']:.1%}")
    for question, answer in (("another night", found["evolve"]), ("another adapter", found["retire"])):
        typer.echo(f"{question}: {'yes' if answer['should'] else 'no'}, {answer['reason']}")


def show_rows(rows: list[Row]) -> None:
    """As they came."""
    if rows:
        show_table(tuple(rows[0]), [tuple(each.values()) for each in rows])
    else:
        typer.echo("no rows")


def _show_known(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Without the columns that are empty: a terminal is narrow."""
    known = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    show_table(tuple(columns[place] for place in known), [tuple(row[place] for place in known) for row in rows])


def _from_to(before: float | None, after: float | None) -> str | None:
    return None if before is None or after is None else f"{before:.1%} → {after:.1%}"


def _in_units(value: float | None, unit: str) -> str | None:
    form = {"share": "{:.1%}", "share/h": "{:.1%}/h", "nats": "{:.4f}"}.get(unit, "{:.0f} " + unit)
    return _written(form, value)


def _written(form: str, value: float | None) -> str | None:
    return None if value is None else form.format(value)
