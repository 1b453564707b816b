"""rag: the indexed documents."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.common import DryRun, Json, Run, current_settings, run_stage, show_result

commands = typer.Typer(help="The indexed documents: find them again, tune how, keep them in order.")


@commands.command("settle")
def rag_settle(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """After a deployment: what the model in service has learned leaves the daily buffer. --run: only if it serves."""
    from pipeline.rag import settle as stage

    run_stage("rag settle", run or "latest", as_json, dry_run, lambda settings, _: stage(settings, run, dry_run))


@commands.command("rebuild")
def rag_rebuild(as_json: Json = False) -> None:
    """Make Chroma's folder again from training_data/documents."""
    from pipeline.rag import rebuild as stage

    run_stage("rag rebuild", None, as_json, False, lambda settings, _: stage(settings))


@commands.command("search")
def rag_search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    n: Annotated[int, typer.Option("--n", min=1, max=100, help="Most passages.")] = 5,
    collection: Annotated[
        str | None, typer.Option(help="daily_buffer, historical or tools. Default: the first two.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look something up by hand."""
    from pipeline.commands.tables_of_memory import show_passages
    from pipeline.rag import search as stage

    show_result(stage(current_settings(), question, n, collection), as_json, show_passages)


@commands.command("tune")
def rag_tune(
    queries: Annotated[Path, typer.Option(help='JSON lines: {"query": "…", "relevant": ["documents/….md"]}.')],
    as_json: Json = False,
) -> None:
    """Measure how many passages, how similar, of which documents serve your questions best."""
    from pipeline.commands.tables_of_memory import show_tuning
    from pipeline.rag import tune as stage

    show_result(stage(current_settings(), queries), as_json, show_tuning)


@commands.command("hot")
def rag_hot(as_json: Json = False) -> None:
    """What is looked up most."""
    from pipeline.commands.tables_of_memory import show_hot
    from pipeline.rag import hot as stage

    show_result(stage(current_settings()), as_json, show_hot)
