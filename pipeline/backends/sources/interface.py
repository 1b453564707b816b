"""A source yields interactions that some program has recorded. It never writes to where it reads."""

from collections.abc import Iterator
from typing import Any, Protocol

from pipeline.lib.problems import Problems

Row = dict[str, Any]


class Source(Protocol):
    """One place where conversations are."""

    @property
    def name(self) -> str:
        """How provenance names it: `kind:where`, for example `open-webui:webui.db`."""

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Interactions as plain dictionaries in the shape of `pipeline.lib.records.Interaction`, not validated yet.

        Those that were asked in the window `since <= … < until` (seconds since 1970), and earlier ones about which
        something was said in it (`feedback.at`): a thumb may come days after the answer. The `id` follows from what the
        program itself calls the interaction, so the same one has the same id whenever it is read. Rows of one
        conversation share `session`, its earlier messages are part of `messages`.

        A row that cannot be read is added to `problems`, and the rest goes on.

        Raises:
            BadRecordError: this is not what the source reads (foreign, damaged, or of a version that is not known).
            BusyError: somebody keeps it locked.
            UnavailableError: it is not there, or may not be read.
        """
