"""The stages of a night, in their order, a person's yes or no, and rollback."""

import sys
from typing import Annotated

import typer

from pipeline.commands.common import (
    DryRun,
    Json,
    Run,
    Shared,
    current_settings,
    moment,
    run_stage,
    show_result,
    stage_result,
)

commands = typer.Typer()

Candidate = Annotated[
    str | None, typer.Option(help="The generation. Default: the newest that awaits approval, else loras/latest.")
]
By = Annotated[str | None, typer.Option(help="Who says so. Default: the login name.")]

_SHOWN = 5  # answers side by side, before an approval


@commands.command()
def harvest(
    since: Annotated[
        str | None,
        typer.Option(help="From when (2026-11-20T22:00). Default: where its last harvest ended, or a day."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when. Default: now.")] = None,
    teacher: Annotated[
        str | None, typer.Option(help="A generation that answers again, served or not. Default: what is served.")
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="local = this machine, ray = a cluster. Default: harvest.executor.")
    ] = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find the answers that failed and get better ones."""
    from pipeline.harvest import harvest as stage

    if executor is not None:
        Shared.flags["harvest.executor"] = executor
    begin, end = moment(since), moment(until)
    run_stage(
        "harvest", run, as_json, dry_run, lambda settings, run: stage(settings, begin, end, dry_run, teacher, run)
    )


@commands.command("build-dataset")
def build_dataset(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Make training rows of the rewrites, with replay, without hold-out and canary questions."""
    from pipeline.build_dataset import build_dataset as stage

    run_stage("build-dataset", run, as_json, dry_run, lambda settings, run: stage(settings, run, dry_run))


@commands.command()
def train(
    method: Annotated[
        str | None, typer.Option(help="sft, dpo or kto: what it learns from. Default: train.method.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Generation that it goes on from, or base. Default: what is current.")
    ] = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a candidate from a dataset (default: the latest)."""
    from pipeline.train import train as stage

    if method is not None:
        Shared.flags["train.method"] = method
    terminal = sys.stderr.isatty()
    run_stage(
        "train",
        run or "dataset",
        as_json,
        dry_run,
        lambda settings, run: stage(settings, run, dry_run, terminal, start),
    )


@commands.command()
def canary(
    candidate: Annotated[str | None, typer.Option(help="The generation to judge. Default: loras/latest.")] = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Compare a candidate with the incumbent on the same questions."""
    from pipeline.canary import canary as stage

    run_stage(
        "canary",
        run or candidate or "latest",
        as_json,
        dry_run,
        lambda settings, _: stage(settings, candidate, dry_run),
    )


@commands.command()
def deploy(
    candidate: Annotated[str | None, typer.Option(help="The generation to promote. Default: loras/latest.")] = None,
    candidate_share: Annotated[
        str | None, typer.Option(help="Share of live traffic that tries it before the swap, as 5% or 0.05.")
    ] = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Promote a candidate that passed, prove that it answers, watch it, and return if it fails."""
    from pipeline.deploy import deploy as stage

    if candidate_share is not None:
        Shared.flags["deploy.candidate_share"] = candidate_share

    run_stage(
        "deploy",
        run or candidate or "latest",
        as_json,
        dry_run,
        lambda settings, run: stage(settings, candidate, run, dry_run),
    )


@commands.command()
def approve(
    candidate: Candidate = None,
    by: By = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Say yes to a candidate that passed, and deploy it; shows the verdict and some answers first.

    People are told how the deployment ended, as after a night.
    """
    from pipeline.approve import approve as first
    from pipeline.approve import evidence
    from pipeline.commands.tables import show_evidence
    from pipeline.deploy import deploy as second
    from pipeline.notify import tell

    seen = evidence(current_settings(), candidate, _SHOWN)
    if not as_json:
        show_evidence(seen)
    chosen = str(seen["candidate"])
    run = run or chosen
    said = stage_result("approve", run, dry_run, lambda settings, _: first(settings, chosen, by, dry_run))
    if not dry_run:
        try:
            said["deployed"] = stage_result(
                "deploy", run, dry_run, lambda settings, run: second(settings, chosen, run, dry_run)
            )
        finally:
            tell(current_settings(), run)
    show_result({**seen, **said} if as_json else said, as_json)


@commands.command()
def reject(
    candidate: Candidate = None,
    by: By = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "no reason given",
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Say no to a candidate: it is never deployed."""
    from pipeline.approve import reject as stage

    run_stage("reject", run, as_json, dry_run, lambda settings, _: stage(settings, candidate, by, reason, dry_run))


@commands.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="Generation id, or base. Default: what was current before.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the summary.")] = "asked for by hand",
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give back an earlier generation, and tell people."""
    from pipeline.lib.runs import current_run
    from pipeline.notify import tell
    from pipeline.rollback import rollback as stage

    settings = current_settings()
    run = current_run(settings.layout, run)
    run_stage("rollback", run, as_json, dry_run, lambda settings, run: stage(settings, to, reason, run, dry_run))
    if not dry_run:
        tell(settings, run)


@commands.command()
def notify(
    test: Annotated[bool, typer.Option("--test", help="Send everybody a test message, and say who got it.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also to those who were told already.")] = False,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Tell people how a run ended, once."""
    from pipeline.notify import notify as stage
    from pipeline.notify import show, try_out

    if test:
        show_result(try_out(current_settings(), dry_run), as_json)
        return
    run_stage(
        "notify", run or "last", as_json, dry_run, lambda settings, run: stage(settings, run, dry_run, again), show
    )
