"""starter: the embedded default."""

from typing import Annotated

import typer

from pipeline.commands.common import Json, Run, current_settings, run_stage, show_result

commands = typer.Typer(help="The embedded default: a tiny base model made here, and a day of traffic for it.")


@commands.command("build")
def starter_build(
    force: Annotated[bool, typer.Option(help="Make it again even if it is there.")] = False, as_json: Json = False
) -> None:
    """Make the base model and its hold-out (under a minute; kept in models/)."""
    from pipeline.starter.build import build as stage

    show_result(stage(current_settings(), force), as_json)


@commands.command("gguf")
def starter_gguf(as_json: Json = False) -> None:
    """Convert the base model for llama-server (engine.converters: the folder of llama.cpp)."""
    from pipeline.starter.build import to_gguf as stage

    show_result(stage(current_settings()), as_json)


@commands.command("day")
def starter_day(
    requests: Annotated[int, typer.Option(min=1, help="How many questions.")] = 1500,
    seed: Annotated[int | None, typer.Option(help="Which day. Default: the next one.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Questions a second; 0 = as fast as it goes.")] = 0,
    families: Annotated[str, typer.Option(help="Of tasks, separated by commas: arithmetic, text.")] = "arithmetic",
    run: Run = None,
    as_json: Json = False,
) -> None:
    """Ask the server a day of questions over HTTP, execute the answers, and report what came of them."""
    from pipeline.starter.day import day as stage

    chosen = [each.strip() for each in families.split(",")]
    run_stage("starter day", run, as_json, False, lambda settings, _: stage(settings, requests, seed, rate, chosen))
