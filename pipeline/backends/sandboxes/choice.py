"""Which sandbox is used, and whether it works here.

What runs checks is deep below the settings, often in another thread: so the settings are named once (`use`), and where
nobody did, the safest is used: bubblewrap, with the default limits.
"""

import threading

from pipeline.backends.sandboxes.interface import Limits, Sandbox, SandboxError
from pipeline.lib import sections

_NOTHING = {"answer": "", "function": None, "cases": [{"stdin": ""}]}


class _InUse:
    settings = sections.Sandbox()
    problem: SandboxError | None = None
    tried = False
    guard = threading.Lock()


def use(settings: sections.Sandbox) -> None:
    """From now on, in this process."""
    if settings != _InUse.settings:
        _InUse.settings, _InUse.tried = settings, False


def chosen() -> Sandbox:
    """The sandbox that the settings name."""
    asked = _InUse.settings
    limits = Limits(asked.processor_seconds, asked.seconds, asked.memory_mb, asked.disk_mb, asked.output_kb)
    if asked.mechanism == "landlock":
        from pipeline.backends.sandboxes.landlock import Landlock

        return Landlock(limits)
    from pipeline.backends.sandboxes.bubblewrap import Bubblewrap

    return Bubblewrap(limits)


def problem() -> SandboxError | None:
    """Why foreign code cannot be run here, found out by running nothing in it once; none: it can."""
    with _InUse.guard:
        if not _InUse.tried:
            try:
                chosen().run(_NOTHING)
                _InUse.problem = None
            except SandboxError as error:
                _InUse.problem = error
            _InUse.tried = True
        return _InUse.problem
