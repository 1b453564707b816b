"""A check decides whether an answer is right: by executing or matching, never by asking a model."""

from dataclasses import dataclass
from typing import Any, Protocol

Specification = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found.

    `passed` is None when the check had nothing to compare with (it only executed). `result` is what executing came
    to, in a form in which equal results are equal texts: a council votes on it. `error` says why an answer failed.
    """

    passed: bool | None
    result: str | None = None
    error: str | None = None


class Check(Protocol):
    """One kind of check."""

    def validate(self, specification: Specification) -> None:
        """Raise ValueError when the specification cannot be used."""

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Decide about one answer; an answer that cannot be run has failed, it never raises.

        Raises:
            SandboxError: no answer can be run on this machine.
        """
