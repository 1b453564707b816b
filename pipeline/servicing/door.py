"""Where the service answers: GET /health, and whatever pages are mounted beside it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from pipeline.lib.doors import listen

HOST = "127.0.0.1"
_CLOSING = 3  # seconds for answers that are under way


def application(health: Callable[[], dict[str, Any]], pages: ASGIApp | None = None) -> Starlette:
    """The answers on the port.

    Args:
        health: what GET /health tells; the status is 200 when its `alive` is true, else 503.
        pages: takes everything else.
    """

    def answer(_: Request) -> JSONResponse:
        said = health()
        return JSONResponse(said, status_code=200 if said["alive"] else 503, headers={"cache-control": "no-store"})

    routes: list[BaseRoute] = [Route("/health", answer)]
    if pages is not None:
        routes.append(Mount("/", pages))
    # A page of somebody else, whose name was pointed at this machine, learns nothing.
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=routes, middleware=[trusted])


@contextmanager
def opened(app: ASGIApp, port: int) -> Iterator[str]:
    """Serve in a thread of its own for the block, which gets the URL: a slow page delays no night.

    Raises:
        BusyError: the port is taken.
    """
    door = listen(HOST, port, "take another one with --port")
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=_CLOSING)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, name="door", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{door.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_CLOSING + 2)
