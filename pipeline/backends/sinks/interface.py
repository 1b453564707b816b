"""A sink is a foreign system that is told the store's numbers; the store is what counts, a sink can be filled again."""

from typing import Protocol

from pipeline.lib.errors import UnavailableError


class SinkError(UnavailableError):
    """The numbers did not arrive; the next time they do. Never holds a login or a token."""


class Sink(Protocol):
    """One place where the numbers of the store go."""

    @property
    def name(self) -> str:
        """What it is called in the settings, the logs and the label `sink`: `textfile`, `pushgateway`, `influx`."""

    def send(self) -> int:
        """Deliver what the store says now; returns the number of bytes or rows that went.

        Sending again what has arrived already changes nothing there.

        Raises:
            SinkError: it was not taken.
        """
