"""A sandbox runs code that a model wrote, where it can harm nobody.

The task goes in, what the code came to comes out as bytes; `inside.py`, which runs there, says in which form.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.lib.errors import ConfigurationError

Task = dict[str, Any]


class SandboxError(ConfigurationError):
    """This machine cannot run foreign code safely, so it was not run; that says nothing about the code."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may take. Seconds; mebibytes (2²⁰ bytes); the last one in kibibytes."""

    processor_seconds: int
    seconds: float
    memory_mb: int
    disk_mb: int
    output_kb: int


@dataclass(frozen=True, slots=True)
class Finished:
    """How a task ended: everything that was said, or `stopped`: why it was ended from outside."""

    said: bytes
    stopped: str | None = None


class Sandbox(Protocol):
    """One mechanism."""

    def run(self, task: Task) -> Finished:
        """Execute one answer.

        Args:
            task: {"answer": text, "function": name or none, "cases": […]}; see `inside.py`.

        Raises:
            SandboxError: the mechanism does not work here; nothing was executed.
        """
