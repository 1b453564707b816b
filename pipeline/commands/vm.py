"""vm: the Sovereign VM."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.common import Json, show_result

commands = typer.Typer(help="The Sovereign VM.")


@commands.command("run")
def vm_run(file: Annotated[Path, typer.Argument(help="A program in assembly.")], as_json: Json = False) -> None:
    """Execute a program and show what it leaves."""
    from pipeline.evolution.run_file import run_file as stage

    show_result(stage(file), as_json)
