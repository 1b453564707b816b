"""config: the settings."""

import json
from typing import Annotated, Any

import typer

from pipeline.commands.common import Json, current_settings, show_result

commands = typer.Typer(help="Settings: what is in force, and an example file.")


@commands.command("show")
def config_show(
    name: Annotated[str | None, typer.Argument(help="Only this one, such as night.rounds.")] = None,
    as_json: Json = False,
) -> None:
    """The settings in force; secrets are masked."""
    values = _without_logins(current_settings().model_dump(mode="json"))
    for section, key in (("notify", "webhook"), ("night", "ping_url")):
        if values[section][key]:
            values[section][key] = "(set)"
    if name is None:
        show_result(values, as_json)
        return
    section, _, key = name.partition(".")
    if key not in values.get(section, {}):
        from pipeline.lib.errors import UsageError

        raise UsageError(f"no setting {name}", "`nightschool config show` lists them")
    typer.echo(json.dumps(values[section][key]) if as_json else values[section][key])


@commands.command("example")
def config_example() -> None:
    """A complete nightschool.toml with every default."""
    from pipeline.lib.config import example

    typer.echo(example(), nl=False)


def _without_logins(value: Any) -> Any:
    from pipeline.lib.text import without_logins

    if isinstance(value, dict):
        return {key: _without_logins(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_logins(each) for each in value]
    return without_logins(value) if isinstance(value, str) else value
