"""What is running, what happened, which settings are in force."""

import os
from typing import Annotated

import typer

from pipeline.commands.common import (
    DryRun,
    Json,
    Run,
    Shared,
    current_settings,
    run_stage,
    show_result,
    stage_result,
)

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
def report(run: Run = None, as_json: Json = False) -> None:
    """The story of one night (default: the latest)."""
    from pipeline.report import report as stage
    from pipeline.report import show

    show_result(stage(current_settings(), run), as_json, show)


@commands.command()
def dashboard(
    port: Annotated[str | None, typer.Option(help="Port to listen on. Default: dashboard.port.")] = None,
) -> None:
    """Open a web page that shows the nights, and stay until told to stop."""
    from pipeline.dashboard.server import run

    if port is not None:
        Shared.flags["dashboard.port"] = port
    run(current_settings(), stage_result, typer.echo)
