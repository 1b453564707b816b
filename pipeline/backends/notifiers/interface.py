"""A notifier tells people; it never changes what a night does."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pipeline.lib.errors import NightschoolError

Severity = Literal["good", "info", "warning", "bad"]

MARKS: dict[Severity, str] = {"good": "✅", "info": "🔵", "warning": "🟡", "bad": "🔴"}


@dataclass(frozen=True, slots=True)
class Message:
    """One event worth telling.

    The title says everything that fits into a phone's notification, `text` why, `facts` the numbers (name: value), and
    `next_step` what the reader can do, with commands in backticks. `at` is in seconds since 1970.
    """

    title: str
    text: str
    facts: dict[str, str] = field(default_factory=dict)
    next_step: str = ""
    severity: Severity = "info"
    event: str = "test"
    run: str = ""
    at: float = 0.0
    link: str = ""

    @property
    def headline(self) -> str:
        """The title behind a mark that is understood before it is read."""
        return f"{MARKS[self.severity]} {self.title}"


class NotificationError(NightschoolError):
    """The message did not arrive. Never names the URL: the URL is the secret."""


class Notifier(Protocol):
    """One way to tell people."""

    def send(self, message: Message) -> None:
        """Deliver, or raise NotificationError; ends in bounded time."""
