"""Landlock: for machines where bubblewrap cannot work, such as most containers; only if the settings ask for it.

`confine.py` gives up everything but reading the standard library and the shared libraries, then becomes `inside.py`. In
contrast to bubblewrap, an answer can see which files and processes there are (not what is in them), and has no /tmp.
"""

from pathlib import Path

from pipeline.backends.sandboxes import process, system_calls
from pipeline.backends.sandboxes.interface import Finished, Limits, SandboxError, Task

_HINT = 'Linux 6.12 or newer with Landlock enabled ("landlock" in /sys/kernel/security/lsm), or bubblewrap'
_READABLE = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")


class Landlock:
    """See `pipeline.backends.sandboxes.interface.Sandbox`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def run(self, task: Task) -> Finished:
        """Execute one answer."""
        readable = [path for path in (*_READABLE, str(process.library())) if Path(path).exists()]
        confine = [str(process.interpreter()), *process.FLAGS, str(Path(__file__).with_name("confine.py"))]
        try:
            return process.run([*confine, system_calls.program().hex(), *readable], task, self._limits)
        except SandboxError as error:
            raise SandboxError(f"landlock: {error}", error.hint or _HINT) from error
