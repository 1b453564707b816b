"""The command line: parse, run one stage, report, choose the exit code.

Nothing heavy is imported on the way to --help.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from pipeline.lib.errors import Ending, ExitCode, NightschoolError

if TYPE_CHECKING:
    from pipeline.lib.config import Settings

app = typer.Typer(
    help="Teaches a self-hosted language model from its own failures, at night, and never makes it worse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would take half of the time that --help may take
)
starter_app = typer.Typer(help="The embedded default: a tiny base model made here, and a day of traffic for it.")
config_app = typer.Typer(help="Settings: what is in force, and an example file.")
versions_app = typer.Typer(help="Generations on this disk.")
vm_app = typer.Typer(help="The Sovereign VM.")
app.add_typer(starter_app, name="starter")
app.add_typer(config_app, name="config")
app.add_typer(versions_app, name="versions")
app.add_typer(vm_app, name="vm")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON, for machines.")]
Run = Annotated[str | None, typer.Option("--run", help="Run id, such as 20261120T020000Z. Default: NIGHTSCHOOL_RUN.")]


class Shared:
    """What the global options said."""

    home: Path | None = None
    flags: dict[str, str]


@app.callback()
def shared(
    home: Annotated[
        Path | None, typer.Option(help="Folder of loras/, logs/, … Default: NIGHTSCHOOL_HOME, else the working folder.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: --set train.epochs=2. May be repeated.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Messages of every step on stderr.")] = False,
) -> None:
    """Options that every command takes, before its name."""
    from pipeline.lib.errors import UsageError
    from pipeline.lib.logs import configure

    Shared.home = home
    Shared.flags = {}
    for each in settings or []:
        key, equals, value = each.partition("=")
        if not equals or "." not in key:
            raise UsageError(f"--set {each}: expected section.key=value", "for example --set train.epochs=2")
        Shared.flags[key] = value
    root = home or Path(os.environ.get("NIGHTSCHOOL_HOME", "."))
    if not root.is_dir():
        raise UsageError(f"no folder {root}", "--home and NIGHTSCHOOL_HOME name an existing folder")
    configure(root / "logs", verbose)


@app.command()
def harvest(
    since: Annotated[
        str | None, typer.Option(help="From when (2026-11-20 or 2026-11-20T22:00). Default: a day ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when. Default: now.")] = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find the answers that failed and get better ones."""
    from pipeline.harvest import harvest as stage

    begin, end = _moment(since), _moment(until)
    _stage("harvest", run, as_json, dry_run, lambda settings, run: stage(settings, begin, end, dry_run))


@app.command("build-dataset")
def build_dataset(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Make training rows of the rewrites, with replay, without hold-out and canary questions."""
    from pipeline.build_dataset import build_dataset as stage

    _stage("build-dataset", run, as_json, dry_run, lambda settings, run: stage(settings, run, dry_run))


@app.command()
def train(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Train a candidate from a dataset (default: the latest)."""
    from pipeline.train import train as stage

    terminal = sys.stderr.isatty()
    _stage("train", run or "dataset", as_json, dry_run, lambda settings, run: stage(settings, run, dry_run, terminal))


@app.command()
def canary(
    candidate: Annotated[str | None, typer.Option(help="The generation to judge. Default: loras/latest.")] = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Compare a candidate with the incumbent on the same questions."""
    from pipeline.canary import canary as stage

    _stage(
        "canary",
        run or candidate or "latest",
        as_json,
        dry_run,
        lambda settings, _: stage(settings, candidate, dry_run),
    )


@app.command()
def deploy(
    candidate: Annotated[str | None, typer.Option(help="The generation to promote. Default: loras/latest.")] = None,
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Promote a candidate that passed, prove that it answers, watch it, and return if it fails."""
    from pipeline.deploy import deploy as stage

    _stage(
        "deploy",
        run or candidate or "latest",
        as_json,
        dry_run,
        lambda settings, run: stage(settings, candidate, run, dry_run),
    )


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="Generation id, or base. Default: what was current before.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the summary.")] = "asked for by hand",
    run: Run = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give back an earlier generation."""
    from pipeline.rollback import rollback as stage

    _stage("rollback", run, as_json, dry_run, lambda settings, run: stage(settings, to, reason, run, dry_run))


@app.command()
def notify(run: Run = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Tell people how a run ended."""
    from pipeline.notify import notify as stage

    _stage("notify", run or "last", as_json, dry_run, lambda settings, run: stage(settings, run, dry_run))


@app.command()
def serve() -> None:
    """Open the gateway (OpenAI-compatible) and stay until told to stop."""
    from pipeline.serve import serve as stage

    stage(_settings())


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what a night needs: base model, disk, server."""
    from pipeline.doctor import doctor as stage

    if os.environ.get("NIGHTSCHOOL_RUN"):  # part of a night: its ending belongs to the story
        _stage("doctor", None, as_json, False, lambda settings, _: stage(settings))
    else:
        _show(stage(_settings()), as_json)


@app.command()
def status(as_json: Json = False) -> None:
    """What is current, what is serving, what ran last."""
    from pipeline.status import show
    from pipeline.status import status as stage

    _show(stage(_settings()), as_json, show)


@app.command()
def report(run: Run = None, as_json: Json = False) -> None:
    """The story of one night (default: the latest)."""
    from pipeline.report import report as stage
    from pipeline.report import show

    _show(stage(_settings(), run), as_json, show)


@versions_app.command("prune")
def versions_prune(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove old generations; never the incumbent, never what a rollback would need."""
    from pipeline.prune import prune as stage

    _stage("prune", None, as_json, dry_run, lambda settings, _: stage(settings, dry_run))


@config_app.command("show")
def config_show(as_json: Json = False) -> None:
    """The settings in force; secrets are masked."""
    values = _settings().model_dump(mode="json")
    if values["notify"]["webhook"]:
        values["notify"]["webhook"] = "(set)"
    _show(values, as_json)


@config_app.command("example")
def config_example() -> None:
    """A complete nightschool.toml with every default."""
    from pipeline.lib.config import example

    typer.echo(example(), nl=False)


@starter_app.command("build")
def starter_build(
    force: Annotated[bool, typer.Option(help="Make it again even if it is there.")] = False, as_json: Json = False
) -> None:
    """Make the base model and its hold-out (under a minute; kept in models/)."""
    from pipeline.starter.build import build as stage

    _show(stage(_settings(), force), as_json)


@starter_app.command("day")
def starter_day(
    requests: Annotated[int, typer.Option(min=1, help="How many questions.")] = 1500,
    seed: Annotated[int | None, typer.Option(help="Which day. Default: the next one.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Questions a second; 0 = as fast as it goes.")] = 0,
    run: Run = None,
    as_json: Json = False,
) -> None:
    """Ask the server a day of questions over HTTP, execute the answers, and report what came of them."""
    from pipeline.starter.day import day as stage

    _stage("starter day", run, as_json, False, lambda settings, _: stage(settings, requests, seed, rate))


@vm_app.command("run")
def vm_run(file: Annotated[Path, typer.Argument(help="A program in assembly.")], as_json: Json = False) -> None:
    """Execute a program and show what it leaves."""
    from pipeline.evolution.run_file import run_file as stage

    _show(stage(file), as_json)


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


def _settings() -> "Settings":
    from pipeline.lib.config import load

    return load(Shared.home, Shared.flags)


def _stage(
    name: str, run: str | None, as_json: bool, dry_run: bool, job: "Callable[[Settings, str], dict[str, Any]]"
) -> None:
    """Run a stage under its lock and record how it ended; a dry run leaves no trace.

    `run` is a run id, or says which run a stage goes on with when nothing names one: `dataset` (the latest built),
    `latest` (the generation trained last), `last` (whatever ran last), none (a new one).
    """
    from pipeline.lib.files import locked
    from pipeline.lib.runs import current_run, recorded

    settings = _settings()
    layout = settings.layout
    this_run = current_run(layout, run)
    if dry_run:
        _show(job(settings, this_run), as_json)
        return
    with locked(layout.lock(name.replace(" ", "-")), name), recorded(layout, this_run, name) as stage:
        result = job(settings, this_run)
        stage.outputs = {key: value for key, value in result.items() if isinstance(value, str | int | float)}
    _show(result, as_json)


def _show(result: dict[str, Any], as_json: bool, words: "Callable[[dict[str, Any]], None] | None" = None) -> None:
    if as_json:
        typer.echo(json.dumps(result, indent=2, default=str))
    elif words:
        words(result)
    else:
        for key, value in result.items():
            typer.echo(f"{key}: {json.dumps(value, default=str) if isinstance(value, dict | list) else value}")


def _moment(written: str | None) -> float | None:
    """Seconds since 1970 of a date or date and time; UTC unless it says otherwise."""
    from datetime import UTC, datetime

    from pipeline.lib.errors import UsageError

    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise UsageError(f"{written!r} is no date", "write 2026-11-20 or 2026-11-20T22:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


if __name__ == "__main__":
    main()
