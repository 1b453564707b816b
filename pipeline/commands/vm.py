"""vm: the Sovereign VM."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.common import Json, current_settings, show_result

commands = typer.Typer(help="The Sovereign VM: run a program, watch its steps, or only check it (see docs/vm.md).")
File = Annotated[Path, typer.Argument(help="A program in assembly; - is the standard input.")]
Limit = Annotated[list[str] | None, typer.Option("--limit", help="Another limit: --limit steps=5000. May be repeated.")]


@commands.command("run")
def vm_run(file: File, limit: Limit = None, as_json: Json = False) -> None:
    """Execute a program and show what it leaves."""
    from pipeline.vm import run as stage

    show_result(stage(current_settings(), file, limit or []), as_json)


@commands.command("trace")
def vm_trace(file: File, limit: Limit = None, as_json: Json = False) -> None:
    """Execute a program and show every step: line, instruction, stack, changed memory. --json: a line a step."""
    from pipeline.vm import SHOWN_STEPS
    from pipeline.vm import trace as stage

    result = stage(current_settings(), file, limit or [], _show_json if as_json else _show_step)
    if as_json:
        _show_json({"ended": True, **result})
        return
    if result["steps"] > SHOWN_STEPS:
        typer.echo(f"… steps after the {SHOWN_STEPS:,}th are not shown")
    show_result(result, as_json=False)


@commands.command("check")
def vm_check(file: File, as_json: Json = False) -> None:
    """Assemble a program without running it, and say what is odd about it."""
    from pipeline.vm import check as stage

    show_result(stage(file), as_json, _show_check)


def _show_json(step: dict[str, Any]) -> None:
    typer.echo(json.dumps(step))


def _show_step(step: dict[str, Any]) -> None:
    more = "… " if step["stack_size"] > len(step["stack"]) else ""
    stack = " ".join(_word(each) for each in step["stack"])
    inside = "  " * step["inside"]
    line = f"{step['step']:>5}  line {step['line']:<4} {inside}{_plain(step['instruction']):<24}  [{more}{stack}]"
    changed = "".join(f"  {_plain(name)} = {_word(value)}" for name, value in step["memory"].items())
    typer.echo(line + changed + "".join(f"  prints {_word(each)}" for each in step["output"]))


def _word(value: int | str) -> str:
    return json.dumps(value, ensure_ascii=not str(value).isprintable())


def _plain(text: str) -> str:
    """A program must not move the cursor of whoever watches it."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _show_check(result: dict[str, Any]) -> None:
    typer.echo(f"assembles: {result['instructions']} instructions, {result['labels']} labels")
    for each in result["notes"]:
        typer.echo(f"note: {each}")
