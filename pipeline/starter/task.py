"""One question to the starter, and what decides whether an answer is right."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """A question, and the value that the answer, a program, has to leave in memory under `name`.

    `program` is how a right answer may look: the *pre-training* of the base model uses it, the nightly loop never
    sees it.
    """

    question: str
    name: str
    value: int | str
    family: str
    operations: int
    program: str

    @property
    def check(self) -> dict[str, Any]:
        """The check that travels with the interaction: it accepts or refuses, it shows no program."""
        return {"type": "vm", "memory": {self.name: self.value}}

    @property
    def messages(self) -> list[dict[str, str]]:
        """The question as a chat."""
        return [{"role": "user", "content": self.question}]

    def record(self) -> dict[str, Any]:
        """The line that stands in a hold-out or canary file."""
        kind = "" if self.family == "arithmetic" else f"{self.family}: "
        return {"messages": self.messages, "check": self.check, "group": f"{kind}{self.operations} operations"}
