"""versions: generations on this disk."""

import typer

from pipeline.commands.common import DryRun, Json, run_stage

commands = typer.Typer(help="Generations on this disk.")


@commands.command("prune")
def versions_prune(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove old generations; never the incumbent, never what a rollback would need."""
    from pipeline.prune import prune as stage

    run_stage("prune", None, as_json, dry_run, lambda settings, _: stage(settings, dry_run))
