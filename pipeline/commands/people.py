"""revoke, quarantine, release: whose rows are trained on."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.common import DryRun, Json, current_settings, run_stage, show_result

if TYPE_CHECKING:
    from pipeline.lib.exclusions import Action

commands = typer.Typer()

User = Annotated[str | None, typer.Option(help="A person, as the interactions name them.")]
Interaction = Annotated[str | None, typer.Option(help="The id of one interaction.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@commands.command()
def revoke(
    user: User = None,
    interaction: Interaction = None,
    reason: Reason = "asked for",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Never train on these rows again; says which generations were trained on them."""
    _decide("revoke", user, interaction, reason, dry_run, as_json)


@commands.command()
def quarantine(
    user: User = None,
    interaction: Interaction = None,
    reason: Reason = "under suspicion",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Keep these rows out until they are released; without an option: list everything that is excluded."""
    if user is None and interaction is None:
        from pipeline.revoke import excluded

        show_result(excluded(current_settings()), as_json)
        return
    _decide("quarantine", user, interaction, reason, dry_run, as_json)


@commands.command()
def release(
    user: User = None,
    interaction: Interaction = None,
    reason: Reason = "asked for",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let these rows in again."""
    _decide("release", user, interaction, reason, dry_run, as_json)


def _decide(
    action: "Action", user: str | None, interaction: str | None, reason: str, dry_run: bool, as_json: bool
) -> None:
    from pipeline.revoke import decide as stage

    def show(result: dict[str, Any]) -> None:
        whose = " and ".join(str(result[key]) for key in ("user", "interaction") if result[key])
        typer.echo(f"{action}: {whose}, {result['rows']} rows known")
        for each in result["generations"]:
            typer.echo(f"  {each['id']} was trained on {each['rows']} of them{' and serves' * each['current']}")
        if action == "revoke" and any(each["current"] for each in result["generations"]):
            typer.echo("hint: the next night trains without them; `nightschool rollback` takes that one away now")

    run_stage(
        action,
        None,
        as_json,
        dry_run,
        lambda settings, _: stage(settings, action, user, interaction, reason, dry_run),
        show,
    )
