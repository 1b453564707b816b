"""Where the service answers: GET /health, and whatever pages are mounted beside it."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from pipeline.lib.doors import listen

HOST = "127.0.0.1"
_CLOSING = 3  # seconds for answers that are under way


def application(health: Callable[[], dict[str, Any]], pages: Starlette | None = None) -> Starlette:
    """The answers on the port.

    Args:
        health: what GET /health tells; the status is 200 when its `alive` is true, else 503.
        pages: takes everything else, and looks itself who asks.
    """

    def answer(_: Request) -> JSONResponse:
        said = health()
        return JSONResponse(said, status_code=200 if said["alive"] else 503, headers={"cache-control": "no-store"})

    # A page of somebody else, whose name was pointed at this machine, learns nothing.
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    alone = Route("/health", answer, middleware=[trusted])
    if pages is None:
        return Starlette(routes=[alone])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with pages.router.lifespan_context(pages):  # Starlette does not wake what is mounted
            yield

    return Starlette(routes=[alone, Mount("/", pages)], lifespan=lifespan)


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
