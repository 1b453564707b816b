"""Machines that can run foreign code, and one that cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.backends.sandboxes import choice
from pipeline.lib.sections import Sandbox

CHECK = {"type": "python", "function": "f", "cases": [{"args": [2], "returns": 4}]}
SQUARE = "def f(x):\n    return x * x\n"


@contextmanager
def with_sandbox() -> Iterator[None]:
    """The first mechanism that works here; without one the test is skipped, and says why."""
    problems = []
    try:
        for mechanism in ("bubblewrap", "landlock"):
            choice.use(Sandbox(mechanism=mechanism))
            problem = choice.problem()
            if problem is None:
                yield
                return
            problems.append(str(problem))
        pytest.skip(f"no code can be run on this machine: {'; '.join(problems)}")
    finally:
        choice.use(Sandbox())


@contextmanager
def without_bubblewrap(folder: Path) -> Iterator[Path]:
    """A machine that lacks it; yields the folder in which alone programs are looked for."""
    programs = folder / "programs"
    programs.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(programs))
        choice.use(Sandbox(seconds=14))  # other settings: whether it works is found out anew
        try:
            yield programs
        finally:
            choice.use(Sandbox())
