"""export-metrics: the store's numbers, to other systems."""

import os
from typing import Annotated

import typer

from pipeline.commands.common import DryRun, Json, current_settings, run_stage, show_result

commands = typer.Typer()


@commands.command("export-metrics")
def export_metrics(
    textfile: Annotated[
        str | None, typer.Option(help="Write only this file for Prometheus' textfile collector (…/name.prom).")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send the metrics to Prometheus' textfile collector, Pushgateway, InfluxDB: whichever is configured."""
    from pipeline.export_metrics import export_metrics as stage
    from pipeline.lib.files import locked

    if os.environ.get("NIGHTSCHOOL_RUN"):  # part of a night: its ending belongs to the story
        run_stage("export-metrics", None, as_json, dry_run, lambda settings, _: stage(settings, textfile, dry_run))
        return
    settings = current_settings()
    with locked(settings.layout.lock("export-metrics"), "export-metrics"):
        show_result(stage(settings, textfile, dry_run), as_json)
