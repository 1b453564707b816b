"""What the service has done by others: a look is a dry run of `harvest`, a night is the wrapper that cron starts too.

Both are processes of their own. A night that fails, grows or hangs takes nothing with it, and settings that were
changed since are in force in the next one.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import orjson

from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, NightschoolError
from pipeline.servicing.bell import Bell

_LONGEST_LOOK = 600.0  # seconds
_WORDS = 2000  # bytes of what a child says last
_NAP = 1.0  # seconds; the end of a child ends the wait earlier
_PROGRAM = (sys.executable, "-m", "pipeline.cli")


def environment(settings: Settings, flags: Mapping[str, str]) -> dict[str, str]:
    """For children: this home, this installation, and the settings that were given as flags."""
    inherited = {name: value for name, value in os.environ.items() if name != "NIGHTSCHOOL_RUN"}
    program = Path(sys.executable).with_name("nightschool")
    if program.is_file():
        inherited.setdefault("NIGHTSCHOOL", str(program))
    given = {f"NIGHTSCHOOL_{key.replace('.', '__').upper()}": value for key, value in flags.items()}
    return {**inherited, **given, "NIGHTSCHOOL_HOME": str(settings.home)}


def script(settings: Settings) -> Path:
    """What plays a night.

    Raises:
        ConfigurationError: it is not there, or cannot be executed.
    """
    own = Path(__file__).resolve().parents[2] / "cron" / "nightly_improvement.sh"
    path = settings.home / settings.service.script if settings.service.script else own
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise ConfigurationError(f"cannot execute {path}", "service.script names what plays a night")
    return path


def new_failures(variables: Mapping[str, str], bell: Bell) -> int:
    """How many failures wait that nobody has decided yet, as a harvest of this moment would find them.

    Raises:
        NightschoolError: they could not be counted; with what the harvest said.
    """
    command = [*_PROGRAM, "harvest", "--dry-run", "--executor", "local", "--json"]
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        child = _start(command, variables, said, complained)
        until = time.monotonic() + _LONGEST_LOOK
        while child.poll() is None and not bell.rung and time.monotonic() < until:
            bell.wait(_NAP)
        if child.poll() is None:
            child.kill()
            child.wait()
            raise NightschoolError("the look was stopped" if bell.rung else "the look took too long")
        if child.returncode:
            raise NightschoolError(f"the look failed (exit {child.returncode}): {_last_words(complained)}")
        said.seek(0)
        return int(orjson.loads(said.read())["new"])


def night(command: Path, variables: Mapping[str, str], bell: Bell, patience: float) -> tuple[int | None, str]:
    """Play a night to its end; returns its exit code and what it complained of.

    When the bell rings it is asked to stop: it ends what may be ended, and finishes a deployment first. After
    `patience` seconds it is left alone, with its lock, for a deployment that is killed leaves nobody to take a bad
    model back; then the code is none.
    """
    with tempfile.TemporaryFile() as complained:
        child = _start([str(command)], variables, subprocess.DEVNULL, complained)
        while child.poll() is None and not bell.rung:
            bell.wait(_NAP)
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(patience)
            except subprocess.TimeoutExpired:
                return None, ""
        return child.returncode, _last_words(complained)


def _start(
    command: Sequence[str], variables: Mapping[str, str], said: IO[bytes] | int, complained: IO[bytes]
) -> "subprocess.Popen[bytes]":
    """In a session of its own: a Ctrl-C in the terminal is for the service, which knows what to do.

    Files take what it says, never pipes: a night that is left alone can go on writing.
    """
    return subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=complained,
        start_new_session=True,
    )


def _last_words(file: IO[bytes]) -> str:
    """The last error and its hint, else the last line."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _WORDS))
    lines = file.read().decode(errors="replace").strip().splitlines()
    told = [line for line in lines if line.startswith(("error: ", "hint: "))]
    return "; ".join(told[-2:] or lines[-1:])
