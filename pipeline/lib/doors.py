"""Sockets that servers of ours listen on."""

import socket

from pipeline.lib.errors import BusyError


def listen(host: str, port: int, way_out: str) -> socket.socket:
    """A socket that listens already; the caller gives it to its server, and whoever comes before that waits.

    Args:
        host: an address of this machine.
        port: 0 = any free one.
        way_out: how to take another port, in words.

    Raises:
        BusyError: the port is taken, or may not be had.
    """
    door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(128)
    except OSError as error:
        door.close()
        raise BusyError(
            f"cannot listen on http://{host}:{port}: {error.strerror}", f"another program has the port; {way_out}"
        ) from error
    return door
