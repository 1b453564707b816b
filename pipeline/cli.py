"""The command line: the global options, and the one place where errors become words and exit codes.

The commands themselves are in `pipeline/commands/`. Nothing heavy is imported on the way to --help.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from pipeline.commands import (
    config,
    continuous,
    dashboard,
    memory,
    metrics,
    models,
    night,
    observe,
    patterns,
    people,
    rag,
    sinks,
    sources,
    starter,
    versions,
    vm,
)
from pipeline.commands.common import Shared
from pipeline.lib.errors import Ending, ExitCode, NightschoolError

app = typer.Typer(
    help="Teaches a self-hosted language model from its own failures, at night, and never makes it worse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would take half of the time that --help may take
)
app.add_typer(night.commands)
app.add_typer(observe.commands)
app.add_typer(continuous.commands)
app.add_typer(dashboard.commands)
app.add_typer(people.commands)
app.add_typer(memory.commands)
app.add_typer(sinks.commands)
for group in (versions, sources, models, patterns, metrics, rag, config, starter, vm):
    app.add_typer(group.commands, name=group.__name__.rpartition(".")[2])


@app.callback(invoke_without_command=True)
def shared(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="Folder of loras/, logs/, … Default: NIGHTSCHOOL_HOME, else the working folder.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: --set train.epochs=2. May be repeated.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Messages of every step on stderr.")] = False,
    health_check: Annotated[bool, typer.Option("--health-check", help="The same as the command doctor.")] = False,
) -> None:
    """Options that every command takes, before its name."""
    from pipeline.lib.errors import UsageError
    from pipeline.lib.logs import configure

    Shared.home = home
    Shared.flags = {}
    for each in settings or []:
        key, equals, value = each.partition("=")
        if not equals or "." not in key:
            raise UsageError(f"--set {key}: expected section.key=value", "for example --set train.epochs=2")
        Shared.flags[key] = value
    root = home or Path(os.environ.get("NIGHTSCHOOL_HOME", "."))
    if not root.is_dir():
        raise UsageError(f"no folder {root}", "--home and NIGHTSCHOOL_HOME name an existing folder")
    configure(root / "logs", verbose)
    if health_check:
        observe.doctor()
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise UsageError("no command", "see --help")


def main() -> None:
    """Run the command line; the one place where errors become words and exit codes."""
    try:
        result = app(standalone_mode=False)
        sys.exit(result if isinstance(result, int) else ExitCode.DONE)
    except NightschoolError as error:
        label = "" if isinstance(error, Ending) else "error: "
        _complain(f"{label}{error}", error.hint, error.exit_code)
    except TyperException as error:
        _complain(f"error: {error.format_message()}", "see --help", ExitCode.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        from pipeline.lib.logs import logger

        logger.exception("unexpected")
        _complain(
            f"error: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}",
            "this should not happen; logs/nightschool.log has the details",
            ExitCode.DISK if isinstance(error, OSError) else ExitCode.FAILED,
        )


def _complain(message: str, hint: str, code: int) -> None:
    typer.echo(message, err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
