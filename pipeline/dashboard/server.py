"""Opens the dashboard and stays until it is told to stop.

writes  `logs/dashboard.token` (what approve, reject and roll back need), `logs/dashboard.json` (where it listens)
"""

import os
import signal
import sys
from collections.abc import Callable

import uvicorn

from pipeline.dashboard import access, live
from pipeline.dashboard.actions import Play
from pipeline.dashboard.app import Dashboard
from pipeline.lib.config import Settings
from pipeline.lib.doors import listen
from pipeline.lib.files import write_json
from pipeline.lib.logs import logger

_GRACE = 5  # seconds for running answers; pages come back by themselves


def run(settings: Settings, play: Play, say: Callable[[str], None]) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Args:
        settings: where to listen, and the home that is shown.
        play: plays a stage as the command line does.
        say: tells a person where the page is.

    Raises:
        BusyError: the port is taken.
    """
    door = listen(settings.dashboard.host, settings.dashboard.port, "set dashboard.port, or use --port")
    token = access.token_of(settings.layout)
    host, port = door.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}/"
    write_json(settings.layout.logs / "dashboard.json", {"url": url, "pid": os.getpid()})
    say(f"dashboard: {url}")
    if sys.stdout.isatty():
        say(f"to approve or roll back, open it with its token: {url}#token={token}")
    else:  # a journal, or a file that this goes to, is read by others than the token's file
        say(f"to approve or roll back, give it the token in {settings.layout.logs / access.TOKEN_FILE}")
    if host not in access.LOOPBACK:
        logger.warning("the dashboard listens on %s: whoever reaches it can read what was asked", host)
    config = uvicorn.Config(
        Dashboard(settings, token, play).app(),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_max_size=live.LARGEST_MESSAGE,
        ws_per_message_deflate=False,  # costs more processor time than the loopback has to gain
        timeout_graceful_shutdown=_GRACE,
    )
    # Before uvicorn listens to signals, and when it has stopped gracefully and raises the signal once more: a stop that
    # was asked for is a good end.
    for asked_to_stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked_to_stop, lambda *_: sys.exit(0))
    uvicorn.Server(config).run(sockets=[door])
