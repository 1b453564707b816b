"""A source yields interactions that some program has recorded."""

from collections.abc import Iterator
from typing import Protocol

from pipeline.lib.records import Interaction


class Source(Protocol):
    """One place where conversations are."""

    @property
    def name(self) -> str:
        """How provenance names it."""

    def interactions(self, since: float, until: float) -> Iterator[Interaction]:
        """Those asked in the window (seconds since 1970), with whatever feedback has come since.

        Raises:
            BadRecordError: a line cannot be read (file and line named).
        """
