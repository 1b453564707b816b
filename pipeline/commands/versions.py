"""versions: generations on this disk."""

from typing import Annotated

import typer

from pipeline.commands.common import DryRun, Json, Run, current_settings, run_stage, show_result

commands = typer.Typer(help="Generations on this disk.")

Version = Annotated[str, typer.Argument(help="A generation id; also base, current, latest.")]


@commands.command("list")
def versions_list(as_json: Json = False) -> None:
    """Every generation: verdict, held-out success, what is current, pinned, loaded, awaiting approval."""
    from pipeline.commands.tables import show_versions
    from pipeline.versions import versions as stage

    show_result(stage(current_settings()), as_json, show_versions)


@commands.command("compare")
def versions_compare(
    first: Version,
    second: Version,
    limit: Annotated[int, typer.Option(min=0, help="Most answers to show.")] = 10,
    as_json: Json = False,
) -> None:
    """Two versions: their numbers, and their answers to the same questions."""
    from pipeline.commands.tables import show_comparison
    from pipeline.compare import compare as stage

    show_result(stage(current_settings(), first, second, limit), as_json, show_comparison)


@commands.command("pin")
def versions_pin(version: Version, as_json: Json = False) -> None:
    """Keep a generation for good. While it is current, nothing else is deployed."""
    from pipeline.versions import pin as stage

    show_result(stage(current_settings(), version), as_json)


@commands.command("unpin")
def versions_unpin(version: Version, as_json: Json = False) -> None:
    """Take a pin away."""
    from pipeline.versions import unpin as stage

    show_result(stage(current_settings(), version), as_json)


@commands.command("explain")
def versions_explain(
    interaction: Annotated[str, typer.Argument(help="An interaction's id, or the first six characters or more.")],
    as_json: Json = False,
) -> None:
    """What was learned from one interaction: rewrite, datasets, generations, and what became of them."""
    from pipeline.commands.tables import show_lineage
    from pipeline.explain import explain as stage

    show_result(stage(current_settings(), interaction), as_json, show_lineage)


@commands.command("prune")
def versions_prune(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove old generations; never the incumbent, never what a rollback or a person would need."""
    from pipeline.prune import prune as stage

    run_stage("prune", None, as_json, dry_run, lambda settings, _: stage(settings, dry_run))


@commands.command("switch-base")
def versions_switch_base(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """After model.base has changed: give back what that base model had last. Restart the server then."""
    from pipeline.switch_base import switch_base as stage

    run_stage("switch-base", run, as_json, dry_run, lambda settings, run: stage(settings, run, dry_run))
