"""patterns: which kinds of failures there are, and what past nights have learned about them."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.common import Json, current_settings, show_result, show_table

commands = typer.Typer(
    help="Which kinds of failures there are, what was tried against them, and what tonight would do.",
    invoke_without_command=True,
)
File = Annotated[Path, typer.Argument(help="A JSON file.")]


@commands.callback()
def patterns_group(context: typer.Context, as_json: Json = False) -> None:
    """Without a sub-command: the same as `list`."""
    if context.invoked_subcommand is None:
        patterns_list(as_json)


@commands.command("list")
def patterns_list(as_json: Json = False) -> None:
    """Every pattern: how often it failed and was solved, what solved it best, what tonight would do."""
    from pipeline.patterns import patterns as stage

    show_result(stage(current_settings(), time.time()), as_json, show_patterns)


@commands.command("export")
def patterns_export(file: File, as_json: Json = False) -> None:
    """Write everything learned into one JSON document."""
    from pipeline.patterns import export as stage

    show_result(stage(current_settings(), file), as_json)


@commands.command("import")
def patterns_import(file: File, as_json: Json = False) -> None:
    """Add what an exported document knows; importing it again changes nothing."""
    from pipeline.patterns import import_ as stage

    show_result(stage(current_settings(), file), as_json)


def show_patterns(result: dict[str, Any]) -> None:
    """One line a pattern."""
    if not result["patterns"]:
        typer.echo("nothing learned yet: a harvest writes down what it tries")
        return
    rows = [
        (
            each["label"],
            each["length"],
            each["category"],
            each["failures"],
            each["solved"],
            _rate(each["rates"]),
            _drawn(each["best"]),
            f"{each['tonight']['samples']} at {_drawn(each['tonight'])}",
            f"{each['weight']:.2f}",
        )
        for each in result["patterns"]
    ]
    columns = ("pattern", "words", "category", "failures", "solved", "rate", "best at", "tonight", "weight")
    show_table(columns, rows)
    for each in result["categories"]:
        typer.echo(
            f"{each['category']}: {each['solved']} of {each['failures']} solved, {_rate(each['rates'])}; "
            f"the best at it: {each['best_model']}"
        )
    expected, default = result["expected"], result["default"]
    typer.echo(
        f"{result['attempts']} tries; by default {default['samples']} samples at {_drawn(default)}; as many failures "
        f"again would end with {expected['solved']:.0f} solved, by default {expected['default_solved']:.0f}"
    )


def _rate(rates: dict[str, float]) -> str:
    return f"{rates['rate']:.0%} [{rates['low']:.0%}, {rates['high']:.0%}]"


def _drawn(arm: dict[str, float] | None) -> str | None:
    return None if arm is None else f"{arm['temperature']:g}/{arm['top_p']:g}"
