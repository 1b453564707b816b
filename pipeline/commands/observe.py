"""What is running, what happened, which settings are in force."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.common import DryRun, Json, Run, current_settings, run_stage, show_result

commands = typer.Typer()


@commands.command()
def serve() -> None:
    """Open the gateway (OpenAI-compatible) and stay until told to stop."""
    from pipeline.serve import serve as stage

    stage(current_settings())


@commands.command()
def doctor(as_json: Json = False) -> None:
    """Check what a night needs: base model, disk, server."""
    from pipeline.doctor import doctor as stage

    if os.environ.get("NIGHTSCHOOL_RUN"):  # part of a night: its ending belongs to the story
        run_stage("doctor", None, as_json, False, lambda settings, _: stage(settings))
    else:
        show_result(stage(current_settings()), as_json)


@commands.command()
def validate(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Yesterday's model against today's, on questions that were answered badly."""
    from pipeline.commands.tables import show_validation
    from pipeline.validate import validate as stage

    words = None if dry_run else show_validation
    run_stage("validate", run, as_json, dry_run, lambda settings, _: stage(settings, dry_run), words)


@commands.command()
def status(as_json: Json = False) -> None:
    """What is current, what is serving, what ran last."""
    from pipeline.status import show
    from pipeline.status import status as stage

    show_result(stage(current_settings()), as_json, show)


@commands.command()
def report(
    run: Run = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=366, help="The last days instead of one night; with --html 7 if not said.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one page to mail or keep into this file.")] = None,
    evolution: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the evolution report (JSON) into this file; - prints it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The story of one night (default: the latest), of some days, or of the whole evolution."""
    from pipeline import report as stage
    from pipeline.lib.errors import UsageError
    from pipeline.reporting.story import show
    from pipeline.reporting.week import show_week

    settings = current_settings()
    if evolution is not None:
        if run or days or html:
            raise UsageError("--evolution stands alone", "it is about all nights")
        if evolution == "-":
            return show_result(stage.evolution_report(settings), True)
        return show_result(stage.write_evolution_report(settings, Path(evolution)), as_json)
    if html is not None:
        return show_result(stage.write_page(settings, html, days or stage.DAYS, run), as_json)
    if days is None:
        return show_result(stage.report(settings, run), as_json, show)
    if run:
        raise UsageError("--run is one night, --days are several", "choose one of them; with --html both can be said")
    return show_result(stage.week(settings, days), as_json, show_week)
