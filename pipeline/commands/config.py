"""config: the settings."""

import typer

from pipeline.commands.common import Json, current_settings, show_result

commands = typer.Typer(help="Settings: what is in force, and an example file.")


@commands.command("show")
def config_show(as_json: Json = False) -> None:
    """The settings in force; secrets are masked."""
    values = current_settings().model_dump(mode="json")
    if values["notify"]["webhook"]:
        values["notify"]["webhook"] = "(set)"
    show_result(values, as_json)


@commands.command("example")
def config_example() -> None:
    """A complete nightschool.toml with every default."""
    from pipeline.lib.config import example

    typer.echo(example(), nl=False)
