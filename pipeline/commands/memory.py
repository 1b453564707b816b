"""What is remembered of a day: its documents, and what people thought of the answers."""

from typing import Annotated

import typer

from pipeline.commands.common import DryRun, Json, Run, current_settings, run_stage, show_result

commands = typer.Typer()


@commands.command()
def index(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remember the documents of the day, with their vectors."""
    from pipeline.index import index as stage

    run_stage("index", run, as_json, dry_run, lambda settings, _: stage(settings, dry_run))


@commands.command()
def feedback(
    interaction: Annotated[
        str | None, typer.Argument(help="An interaction's id, or the first six characters or more.")
    ] = None,
    thumb: Annotated[str | None, typer.Option(help="up or down.")] = None,
    comment: Annotated[str | None, typer.Option(help="What you have to say about the answer.")] = None,
    edited: Annotated[str | None, typer.Option(help="The answer as it should have been.")] = None,
    success: Annotated[
        bool | None, typer.Option("--success/--failed", help="Whether it did what it should, tried out.")
    ] = None,
    rate: Annotated[bool, typer.Option("--rate", help="Only show how satisfied people are.")] = False,
    days: Annotated[float, typer.Option(min=0, help="How far back --rate looks.")] = 7,
    as_json: Json = False,
) -> None:
    """Say what you think of an answer; or with --rate, how many thumbs are up."""
    from pipeline.commands.tables_of_memory import show_rate
    from pipeline.feedback import give
    from pipeline.feedback import rate as rate_of
    from pipeline.lib.errors import UsageError

    if rate:
        show_result(rate_of(current_settings(), days), as_json, show_rate)
        return
    if interaction is None:
        raise UsageError("which answer?", "name an interaction, or ask for --rate")
    if thumb not in (None, "up", "down"):
        raise UsageError(f"--thumb {thumb}: up or down")
    said = {
        "thumb": {None: None, "up": 1, "down": -1}[thumb],
        "comment": comment,
        "edited": edited,
        "success": success,
    }
    show_result(give(current_settings(), interaction, said), as_json)
