"""Without cron: the service that looks and trains by itself, and the ping for whoever waits to hear from a night."""

from typing import Annotated

import typer

from pipeline.commands.common import DryRun, Json, Shared, current_settings, show_result, stage_result

commands = typer.Typer()


@commands.command()
def service(
    evolution_interval: Annotated[
        str | None, typer.Option(help="How often it looks for new failures: seconds, or 90s, 30m, 1h. Default: 1h.")
    ] = None,
    training_interval: Annotated[
        str | None, typer.Option(help="Least time from one training to the next night. Default: 30m.")
    ] = None,
    min_samples: Annotated[
        str | None, typer.Option(help="New failures with which a night is worth while. Default: 50.")
    ] = None,
    port: Annotated[str | None, typer.Option(help="Where the dashboard and GET /health answer. Default: 8081.")] = None,
    once: Annotated[bool, typer.Option("--once", help="One look, and the night if it is time for one.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Look for new failures again and again, and play a night when enough of them wait."""
    from pipeline.dashboard.access import token_of
    from pipeline.dashboard.app import Dashboard
    from pipeline.lib.errors import ExitCode
    from pipeline.lib.logs import configure
    from pipeline.service import look_once, would
    from pipeline.service import service as stage

    given = {
        "evolution_interval": evolution_interval,
        "training_interval": training_interval,
        "min_samples": min_samples,
        "port": port,
    }
    Shared.flags |= {f"service.{name}": value for name, value in given.items() if value is not None}
    settings = current_settings()
    if dry_run:
        show_result(would(settings, Shared.flags), as_json)
        return
    if once:
        result = look_once(settings, Shared.flags)
        show_result(result, as_json)
        raise typer.Exit(ExitCode.BUSY if result["exit_code"] is None else result["exit_code"])
    configure(settings.layout.logs, verbose=True)
    stage(settings, Shared.flags, Dashboard(settings, token_of(settings.layout), stage_result).app())


@commands.command()
def ping(
    sign: Annotated[str, typer.Argument(help="start, or the exit code of the night.")], as_json: Json = False
) -> None:
    """Tell night.ping_url that a night begins, or how it ended."""
    from pipeline.ping import ping as stage

    show_result(stage(current_settings(), sign), as_json)
