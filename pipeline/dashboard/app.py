"""The dashboard's routes: one page, its API, its WebSocket."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from pipeline.dashboard import access, story
from pipeline.dashboard.actions import Actions, Asked, Play
from pipeline.dashboard.live import Hub
from pipeline.dashboard.schema import schema
from pipeline.dashboard.shapes import Action, Only
from pipeline.dashboard.state import State
from pipeline.lib.config import Settings
from pipeline.lib.errors import Ending, ExitCode, NightschoolError, UsageError

STATIC = Path(__file__).parent / "static"
LARGEST_BODY = 4096  # bytes

_KINDS: tuple[Only, ...] = get_args(Only)
_STATUS = {
    ExitCode.USAGE: 404,
    ExitCode.UNAVAILABLE: 503,
    ExitCode.BUSY: 409,
    ExitCode.DISK: 507,
}


class Dashboard:
    """What the routes share."""

    def __init__(self, settings: Settings, token: str, play: Play) -> None:
        self.settings = settings
        self.state = State(settings)
        self.hub = Hub(self.state, settings.dashboard.refresh_seconds)
        self._token = token
        self._actions = Actions(self.state, play)

    def app(self) -> Starlette:
        """The ASGI application."""
        options = self.settings.dashboard
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/api/status", self.status),
                Route("/api/metrics", self.metrics),
                Route("/api/report", self.report),
                Route("/api/answers", self.answers),
                Route("/api/schema", self.schema),
                *(Route(f"/api/{each}", self._action(each), methods=["POST"]) for each in get_args(Action)),
                WebSocketRoute("/ws", self.hub.join),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[Middleware(access.Guard, hosts=[options.host, *options.hosts])],
            exception_handlers={NightschoolError: _refused},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(self.state.health.ask)
        tasks = [asyncio.create_task(self.hub.run()), asyncio.create_task(self.hub.ask_gateway())]
        yield
        for task in tasks:
            task.cancel()

    async def page(self, _: Request) -> Response:
        """The page itself; everything that it shows comes through the API."""
        return FileResponse(STATIC / "index.html")

    async def status(self, _: Request) -> Response:
        """The three cards, as they are now."""
        await asyncio.to_thread(self.state.health.ask)
        return _json({"data": await self.hub.read(), "timestamp": time.time()})

    async def metrics(self, http: Request) -> Response:
        """What the store says about the last days."""
        days = _number(http, "days", 7, 1, 3650)
        return _json(await asyncio.to_thread(story.metrics, self.settings, days))

    async def report(self, http: Request) -> Response:
        """The story of a night, and every generation."""
        return _json(await asyncio.to_thread(story.report, self.settings, http.query_params.get("run")))

    async def answers(self, http: Request) -> Response:
        """Answers of two generations, side by side."""
        asked = http.query_params
        only = next((each for each in _KINDS if each == asked.get("only", "all")), None)
        if only is None:
            raise UsageError("only: not known", f"one of {', '.join(_KINDS)}")
        offset = _number(http, "offset", 0, 0, 1_000_000)
        sides = asked.get("first", "base"), asked.get("second", "current")
        return _json(await asyncio.to_thread(story.answers, self.settings, *sides, only, offset))

    async def schema(self, _: Request) -> Response:
        """The JSON schema of all of this."""
        return _json(schema())

    def _action(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        """A route that needs the token; it goes on to its end even if the page is closed meanwhile."""

        async def route(http: Request) -> Response:
            if not access.is_authorized(http.headers, self._token):
                return access.failure(401, "this needs the token", "it is in logs/dashboard.token")
            if http.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return access.failure(415, "the body is not JSON", "send application/json")
            body = await _body(http)
            try:
                asked = Asked.model_validate_json(body)
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(map(str, problem["loc"]))
                return access.failure(400, f"{where}: {problem['msg']}" if where else str(problem["msg"]))
            work = asyncio.ensure_future(asyncio.to_thread(self._actions.carry_out, action, asked))
            return _json(await asyncio.shield(work))

        return route


async def _body(http: Request) -> bytes:
    body = b""
    async for piece in http.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise UsageError("the body is too large", f"at most {LARGEST_BODY} bytes")
    return body


def _number(http: Request, name: str, default: int, least: int, most: int) -> int:
    text = http.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise UsageError(f"{name}: not a number from {least} to {most}")
    return int(text)


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, NightschoolError)
    status = 409 if isinstance(error, Ending) else _STATUS.get(error.exit_code, 500)
    return access.failure(status, story.clean(str(error)), story.clean(error.hint))
