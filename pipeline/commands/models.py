"""models: who may be asked, and who would be."""

from typing import Annotated, Any

import typer

from pipeline.commands.common import Json, current_settings, show_result, show_table

commands = typer.Typer(help="Models that may be asked: what they can do, how they are, and who is chosen.")


@commands.command("list")
def models_list(as_json: Json = False) -> None:
    """All models of the settings, whether they answer now, and what was measured of them."""
    from pipeline.models import models as stage

    show_result(stage(current_settings()), as_json, _show_models)


@commands.command("test")
def models_test(
    name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Most seconds for one answer.")] = 120.0,
    as_json: Json = False,
) -> None:
    """Have each model answer some twenty questions, decided by comparing and executing, and remember the result."""
    from pipeline.models import test as stage

    show_result(stage(current_settings(), name, timeout), as_json, _show_test)


@commands.command("select")
def models_select(
    needs: Annotated[str, typer.Option(help="Capabilities, separated by commas: reasoning,code_generation.")] = "",
    fast: Annotated[bool, typer.Option("--fast", help="The same as the capability fast_inference.")] = False,
    as_json: Json = False,
) -> None:
    """Who would be asked first, who takes over, and why."""
    from pipeline.models import select as stage

    wanted = [each.strip() for each in needs.split(",") if each.strip()] + ["fast_inference"] * fast
    show_result(stage(current_settings(), dict.fromkeys(wanted)), as_json, show_chain)


def show_chain(result: dict[str, Any]) -> None:
    """One line for each model, the first one first."""
    for place, each in enumerate(result["chain"], start=1):
        typer.echo(f"{place}. {each['name']} ({each['model']}): {', '.join(each['why'])}")


def _show_models(result: dict[str, Any]) -> None:
    rows = [
        (
            each["name"],
            each["kind"],
            each["model"],
            ", ".join(each["capabilities"]) + (" (guessed)" if each["guessed"] and each["capabilities"] else ""),
            "yes" if each["healthy"] else "no",
            _number(each["tokens_per_second"]),
            each["last_error"],
        )
        for each in result["models"]
    ]
    show_table(("name", "kind", "model", "capabilities", "healthy", "tokens/s", "last error"), rows)


def _show_test(result: dict[str, Any]) -> None:
    for each in result["models"]:
        if "error" in each:
            typer.echo(f"{each['name']}: {each['error']}")
            continue
        latency = _number(each["latency"], 2)
        typer.echo(
            f"{each['name']}: {_number(each['tokens_per_second']) or '–'} tokens/s, {latency or '–'} s to answer"
        )
        for capability, said in each["results"].items():
            words = f"not run: {said['not_run']}" if "not_run" in said else f"{said['passed']} of {said['of']}"
            typer.echo(f"  {capability}: {words}")


def _number(value: float | None, digits: int = 1) -> str | None:
    return None if value is None else f"{value:.{digits}f}"
