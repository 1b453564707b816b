"""bubblewrap: namespaces of its own for files, processes, network, users; see docs/sandbox.md.

In there are the interpreter with its standard library, the machine's shared libraries (all read-only), /dev/null, and
an empty /tmp of limited size. Nothing else: no /proc, no home, no environment, no network, not even loopback.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pipeline.backends.sandboxes import process, system_calls
from pipeline.backends.sandboxes.interface import Finished, Limits, SandboxError, Task

_HINT = (
    "apt install bubblewrap (0.8 or newer), and allow unprivileged user namespaces; "
    'or choose sandbox.mechanism = "landlock" (docs/sandbox.md)'
)
_ALONE = (
    *("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--clearenv"),
    *("--die-with-parent", "--new-session", "--hostname", "sandbox"),
)


class Bubblewrap:
    """See `pipeline.backends.sandboxes.interface.Sandbox`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def run(self, task: Task) -> Finished:
        """Execute one answer."""
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxError("bubblewrap is not installed (no bwrap in PATH)", _HINT)
        reading, writing = os.pipe()
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(system_calls.program())
            command = [program, *_ALONE, *_files(), *self._ending(reading)]
            return process.run(command, task, self._limits, [reading])
        except SandboxError as error:
            raise SandboxError(f"bubblewrap: {error}", error.hint or _HINT) from error
        finally:
            os.close(reading)

    def _ending(self, filter_descriptor: int) -> Iterator[str]:
        yield from ("--size", str(self._limits.disk_mb << 20), "--tmpfs", "/tmp", "--remount-ro", "/")
        for name, value in process.ENVIRONMENT.items():
            yield from ("--setenv", name, value)
        yield from ("--seccomp", str(filter_descriptor), "--chdir", "/tmp", "--")
        yield from (f"/python/bin/{process.interpreter().name}", *process.FLAGS, "-c", process.BEGINNING)


@cache
def _files() -> tuple[str, ...]:
    """Mounts. The interpreter goes to /python, wherever it lies outside: perhaps in somebody's home."""
    interpreter, library = process.interpreter(), process.library()
    mounts = ["--ro-bind", "/usr/lib", "/usr/lib", "--ro-bind-try", "/usr/lib64", "/usr/lib64"]
    for folder in (Path("/lib"), Path("/lib64")):
        if folder.is_symlink():
            mounts += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            mounts += ["--ro-bind", str(folder), str(folder)]
    for file in ("/etc/ld.so.cache", "/usr/share/zoneinfo"):
        mounts += ["--ro-bind-try", file, file]
    mounts += ["--ro-bind", str(interpreter), f"/python/bin/{interpreter.name}"]
    mounts += ["--ro-bind", str(library), f"/python/{sys.platlibdir}/{library.name}"]
    shared = Path(sys.base_prefix, sys.platlibdir, str(sysconfig.get_config_var("INSTSONAME")))
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and shared.is_file():
        mounts += ["--ro-bind", str(shared), f"/python/lib/{shared.name}", "--setenv", "LD_LIBRARY_PATH", "/python/lib"]
    return (*mounts, "--dev-bind", "/dev/null", "/dev/null")
