"""dashboard: the web page."""

from typing import Annotated

import typer

from pipeline.commands.common import Shared, current_settings, stage_result

commands = typer.Typer()


@commands.command()
def dashboard(
    port: Annotated[str | None, typer.Option(help="Port to listen on. Default: dashboard.port.")] = None,
) -> None:
    """Open a web page that tells the story of the nights, and stay until told to stop."""
    from pipeline.dashboard.server import run

    if port is not None:
        Shared.flags["dashboard.port"] = port
    run(current_settings(), stage_result, typer.echo)
