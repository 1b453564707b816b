"""A file for the textfile collector of Prometheus' node exporter: right for what cron runs, nothing has to listen."""

from pathlib import Path

from pipeline.backends.sinks.families import exposition
from pipeline.backends.sinks.interface import SinkError
from pipeline.lib.errors import DiskError
from pipeline.lib.files import write_bytes
from pipeline.lib.layout import Layout


class PrometheusTextfile:
    """See `pipeline.backends.sinks.interface.Sink`. `path` is relative to home, or absolute."""

    name = "textfile"

    def __init__(self, layout: Layout, path: str) -> None:
        self._layout = layout
        self._path = layout.home / Path(path).expanduser()

    def send(self) -> int:
        """Put the file in the place of the last one, readable for all; returns its size in bytes."""
        content = exposition(self._layout, arriving=self.name)
        try:
            write_bytes(self._path, content)
        except DiskError as error:
            raise SinkError(str(error), error.hint) from error
        return len(content)
