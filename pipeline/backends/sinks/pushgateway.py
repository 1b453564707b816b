"""Prometheus' Pushgateway: for machines that Prometheus cannot reach. The group is replaced as a whole."""

import socket
from functools import partial
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit, urlunsplit

from prometheus_client import push_to_gateway
from prometheus_client.exposition import basic_auth_handler

from pipeline.backends.sinks.families import registry
from pipeline.backends.sinks.interface import SinkError
from pipeline.lib.layout import Layout

JOB = "nightschool"


class Pushgateway:
    """See `pipeline.backends.sinks.interface.Sink`. `url` may hold a login: http://user:password@host:9091."""

    name = "pushgateway"

    def __init__(self, layout: Layout, url: str, timeout: float) -> None:
        self._layout = layout
        self._url = url
        self._timeout = timeout

    def send(self) -> int:
        """Replace what the gateway knows of this machine; returns the number of families."""
        families = registry(self._layout, arriving=self.name)
        try:
            parts = urlsplit(self._url)
            # urllib takes a login for a part of the host's name.
            address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
            handler = partial(basic_auth_handler, username=parts.username, password=parts.password)
            group = {"instance": socket.gethostname()}
            push_to_gateway(address, JOB, families, group, timeout=self._timeout, handler=handler)
        # HTTPException: who answers speaks no HTTP; ValueError: what urllib says of some bad URLs.
        except (OSError, HTTPException, ValueError) as error:
            problem = f"HTTP {error.code}" if isinstance(error, HTTPError) else type(error).__name__
            # Without its text: that holds the URL.
            raise SinkError(f"the Pushgateway did not take the metrics: {problem}", "check sinks.pushgateway") from None
        return sum(1 for _ in families.collect())
