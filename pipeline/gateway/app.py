"""The gateway's routes."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.backends.engines.interface import Fingerprint, ServingEngine
from pipeline.backends.sinks.scrape import Scrape
from pipeline.gateway.chat import ChatDoor
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.openai_shapes import ApiError, parse
from pipeline.gateway.recall import Recall
from pipeline.gateway.self_check import SelfCheck
from pipeline.gateway.share import CandidateShare
from pipeline.gateway.traffic import Traffic
from pipeline.lib.config import Settings
from pipeline.lib.errors import DiskError, NightschoolError
from pipeline.lib.records import Feedback
from pipeline.metrics import logged
from pipeline.metrics.store import MetricsStore
from pipeline.retrieval.embedding import Embedder

LARGEST_BODY = 4_000_000  # bytes


class FeedbackRequest(Feedback):
    """The body of /v1/feedback."""

    interaction_id: str = Field(pattern=r"^(chatcmpl-)?[0-9a-f]{24}$")

    def verdict(self) -> bool | None:
        """Right or wrong, if it says either: what executing showed counts before a thumb."""
        if self.success is not None:
            return self.success
        return None if self.thumb is None else self.thumb > 0


class ControlRequest(BaseModel):
    """The body of a control endpoint."""

    version: str = Field(min_length=1, max_length=100)
    timeout: float = Field(30, ge=0, le=600)
    fingerprint: dict[str, Any] | None = None
    public: bool = False
    share: float = Field(0, ge=0, le=1)
    seconds: float = Field(600, gt=0, description="after which a share ends by itself")


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the routes share. Without a `store` what happens is in the log only."""

    settings: Settings
    engine: ServingEngine
    log: InteractionLog
    traffic: Traffic
    base_sha256: str
    token: str
    self_check: SelfCheck
    share: CandidateShare = field(default_factory=CandidateShare)
    embedder: Embedder | None = None
    store: MetricsStore | None = None

    def app(self) -> Starlette:
        """The ASGI application."""
        recall = Recall(self.settings, self.embedder)
        chat = ChatDoor(self.settings, self.engine, self.log, self.traffic, self.share, recall, self.store)
        control = {
            "prepare": lambda asked: {"fingerprint": self.engine.prepare(asked.version).to_json()},
            "load": lambda asked: self.engine.load(asked.version),
            "verify": self._verify,
            "activate": lambda asked: self.engine.activate(asked.version),
            "drain": lambda asked: {"drained": self.engine.drain(asked.version, asked.timeout)},
            "unload": lambda asked: self.engine.unload(asked.version),
            "share": self._share,
            "check": lambda _: {"check": self.self_check.check()},
        }
        return Starlette(
            routes=[
                Route("/v1/chat/completions", chat.handle, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/v1/feedback", self.feedback, methods=["POST"]),
                Route("/health", self.health),
                Route("/metrics", self._metrics(Scrape(self.settings.layout))),
                Route("/control/window", self.window),
                *(Route(f"/control/{verb}", self._control(job), methods=["POST"]) for verb, job in control.items()),
            ],
            middleware=[Middleware(_BodyLimit)],
            exception_handlers={ApiError: _api_error, NightschoolError: _engine_error},
            lifespan=lambda _: self._lifespan(recall),
        )

    @asynccontextmanager
    async def _lifespan(self, recall: Recall) -> AsyncIterator[None]:
        checking = asyncio.create_task(self.self_check.run())
        recall.warm()
        yield
        checking.cancel()
        await asyncio.to_thread(recall.close)
        await asyncio.to_thread(self.engine.close)
        await asyncio.to_thread(self.log.close)
        if self.store is not None:
            await asyncio.to_thread(self.store.close)

    async def models(self, _: HttpRequest) -> Response:
        """The public name, and every loaded version under `name@version`."""
        name = self.settings.model.name
        names = [name, *(f"{name}@{version}" for version in self.engine.versions())]
        data = [{"id": each, "object": "model", "created": 0, "owned_by": "nightschool"} for each in names]
        return JSONResponse({"object": "list", "data": data})

    async def health(self, _: HttpRequest) -> Response:
        """What is serving, by hash."""
        active = self.engine.active
        return JSONResponse(
            {
                "status": "ok",
                "engine": self.engine.name,
                "model": self.settings.model.name,
                "base_sha256": self.base_sha256,
                "adapter": active,
                "adapter_sha256": self.engine.versions()[active],
                "loaded": self.engine.versions(),
                "waiting": self.engine.waiting,
                "last_check": self.self_check.last,
                "interactions_lost": self.log.lost,
            }
        )

    async def feedback(self, http: HttpRequest) -> Response:
        """Record what came of an answer; 200 means that it is on the disk."""
        body = parse(FeedbackRequest, await http.body())
        said = body.model_dump(exclude_none=True, exclude={"interaction_id"})
        if not said:
            raise ApiError(400, "feedback says nothing: give thumb, comment, edited, success or error")
        identity = body.interaction_id.removeprefix("chatcmpl-")
        record = {"kind": "feedback", "interaction_id": identity, "at": time.time(), **said}
        try:
            await asyncio.wrap_future(self.log.put(record))
        except DiskError as error:
            raise ApiError(507, "feedback could not be written", "server_error") from error
        except TypeError as error:
            raise ApiError(400, f"feedback cannot be written as JSON: {error}") from error
        if self.store is not None:
            self.store.add(logged.feedback(record, self.settings.model.name))
        recent = self.traffic.feedback(identity, body.verdict())
        return JSONResponse({"status": "recorded", "interaction_id": identity, "recent": recent})

    async def window(self, http: HttpRequest) -> Response:
        """What happened to a version since a moment: the watch of `deploy` reads it."""
        self._authorize(http)
        try:
            since = float(http.query_params.get("since", "0"))
        except ValueError as error:
            raise ApiError(400, "since: seconds since 1970") from error
        return JSONResponse(self.traffic.window(http.query_params.get("version", self.engine.active), since))

    def _metrics(self, store: Scrape) -> Callable[[HttpRequest], Awaitable[Response]]:
        """Prometheus' text format: what this process has seen, then what the store holds."""

        async def route(_: HttpRequest) -> Response:
            text = self.traffic.exposition(self.engine.active) + await store.text()
            return Response(text, media_type="text/plain; version=0.0.4")

        return route

    def _share(self, asked: ControlRequest) -> dict[str, Any]:
        if asked.version not in self.engine.versions():
            raise ApiError(404, f"version {asked.version!r} is not loaded", "not_found_error")
        if asked.share:
            self.share.begin(asked.version, asked.share, asked.seconds)
        else:
            self.share.end()
        return {"share": self.share.share}

    def _verify(self, asked: ControlRequest) -> dict[str, Any]:
        if asked.fingerprint is None:
            raise ApiError(400, "fingerprint: missing")
        proof = self.engine.verify(asked.version, Fingerprint.from_json(asked.fingerprint), asked.public)
        return {"proof": proof.to_json()}

    def _control(self, job: Callable[[ControlRequest], Any]) -> Callable[[HttpRequest], Awaitable[Response]]:
        """A route that needs the token and does its job off the event loop, so that chats go on."""

        async def route(http: HttpRequest) -> Response:
            self._authorize(http)
            asked = parse(ControlRequest, await http.body())
            result = await asyncio.to_thread(job, asked)
            return JSONResponse({"active": self.engine.active, **(result or {})})

        return route

    def _authorize(self, http: HttpRequest) -> None:
        given = http.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise ApiError(401, "control endpoints need the token of logs/control.token", "authentication_error")


class _BodyLimit:
    """Refuses bodies that no chat needs, before they fill the memory."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise ApiError(413, f"the body is larger than {LARGEST_BODY // 1_000_000} MB")
            return message

        await self.app(scope, limited, send)


async def _api_error(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status)


async def _engine_error(_: HttpRequest, error: Exception) -> Response:
    """An engine that refused: its state is what it was."""
    assert isinstance(error, NightschoolError)
    body = ApiError(409, str(error), "engine_error").body()
    return JSONResponse({**body, "hint": error.hint}, status_code=409)
