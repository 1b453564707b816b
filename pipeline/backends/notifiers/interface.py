"""A notifier tells people; it never changes what a night does."""

from dataclasses import dataclass, field
from typing import Protocol

from pipeline.lib.errors import NightschoolError


@dataclass(frozen=True, slots=True)
class Message:
    """One event worth telling. `facts` are shown as name: value; `next_step` is what the reader can do."""

    title: str
    text: str
    facts: dict[str, str] = field(default_factory=dict)
    next_step: str = ""
    good: bool = True


class NotificationError(NightschoolError):
    """The message did not arrive. Never names the URL: the URL is the secret."""


class Notifier(Protocol):
    """One way to tell people."""

    def send(self, message: Message) -> None:
        """Deliver, or raise NotificationError."""
