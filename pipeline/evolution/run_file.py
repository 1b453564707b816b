"""`nightschool vm run FILE`."""

from pathlib import Path
from typing import Any

from pipeline.evolution.faults import VmError
from pipeline.evolution.machine import run
from pipeline.lib.errors import BadRecordError, UsageError


def run_file(path: Path) -> dict[str, Any]:
    """Execute the program in a file.

    Raises:
        UsageError: no such file.
        BadRecordError: it cannot be assembled, or it failed while running (line named).
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    try:
        state = run(source)
    except VmError as error:
        raise BadRecordError(f"{path} {error}") from error
    return {"stack": state.stack, "memory": state.memory, "output": state.output, "steps": state.steps}
