"""export-metrics: the store's numbers, to other systems."""

from typing import Annotated

import typer

from pipeline.commands.common import DryRun, Json, run_stage

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

    run_stage("export-metrics", None, as_json, dry_run, lambda settings, _: stage(settings, textfile, dry_run))
