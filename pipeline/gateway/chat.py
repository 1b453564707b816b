"""/v1/chat/completions: admit, wait or stream, log."""

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from pipeline.backends.engines.decoding import Completion, Request
from pipeline.backends.engines.embedded import EmbeddedEngine
from pipeline.backends.engines.interface import EngineError
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.openai_shapes import ApiError, ChatRequest, answer, chunk, parse
from pipeline.gateway.traffic import Traffic
from pipeline.lib.config import Settings
from pipeline.lib.logs import logger
from pipeline.lib.records import Interaction, content_id

# Requests that the night itself makes say what they are for; they are not logged as somebody's question.
PURPOSE_HEADER = "x-nightschool-purpose"
SESSION_HEADER = "x-session-id"
INTERACTION_HEADER = "x-nightschool-interaction"

_admissions = itertools.count()


@dataclass(slots=True)
class Asked:
    """A request on its way through: what the log will need."""

    body: ChatRequest
    version: str
    purpose: str
    session: str | None
    at: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)
    first_token_ms: float | None = None
    id: str = ""

    def __post_init__(self) -> None:
        """The id must be known before the answer is (streams send it first): content, moment and admission number."""
        messages = [message.plain() for message in self.body.messages]
        self.id = content_id("gateway", self.at, os.getpid(), next(_admissions), messages)

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request came in."""
        return (time.monotonic() - self.clock) * 1000


@dataclass(frozen=True, slots=True)
class ChatDoor:
    """Answers chats through the engine and records every one of them."""

    settings: Settings
    engine: EmbeddedEngine
    log: InteractionLog
    traffic: Traffic

    async def handle(self, http: HttpRequest) -> Response:
        """One POST."""
        body = parse(ChatRequest, await http.body())
        asked = Asked(
            body,
            self._version(body.model),
            http.headers.get(PURPOSE_HEADER, "user"),
            http.headers.get(SESSION_HEADER),
        )
        try:
            self._check_length(asked)
            if body.stream:
                return self._stream(asked)
            requests = [self._request(asked, number) for number in range(body.n)]
            waiting = [asyncio.wrap_future(self.engine.admit(request)) for request in requests]
            asked.version = requests[0].version
            completions = await asyncio.gather(*waiting)
        except EngineError as error:
            self._record(asked, None, str(error))
            raise ApiError(400, str(error)) from error
        except ApiError as error:
            self._record(asked, None, str(error))
            raise
        except Exception as error:
            logger.exception("a chat failed")
            self._record(asked, None, type(error).__name__)
            raise ApiError(500, "the model failed on this request; see the log", "server_error") from error
        asked.first_token_ms = (min(each.first_token_at for each in completions) - asked.clock) * 1000
        self._record(asked, completions[0], None)
        return JSONResponse(
            answer(asked.id, self.settings.model.name, completions, body.logprobs),
            headers={INTERACTION_HEADER: asked.id},
        )

    def _version(self, model: str) -> str:
        """The version that a model name means: the public one (now active), or `name@version`."""
        name, _, version = model.partition("@")
        if name not in ("", self.settings.model.name):
            raise ApiError(404, f"no model {model!r}; there is {self.settings.model.name!r}", "not_found_error")
        if version and version not in self.engine.versions():
            raise ApiError(404, f"version {version!r} is not loaded", "not_found_error")
        return version or self.engine.active

    def _check_length(self, asked: Asked) -> None:
        if self.engine.waiting >= self.settings.server.queue:
            raise ApiError(503, "too many waiting requests, try again", "server_error")
        tokens = self.engine.count_tokens([message.plain() for message in asked.body.messages])
        room = self.engine.context_length - tokens
        if room <= 0:
            raise ApiError(400, f"the prompt has {tokens} tokens, the model reads {self.engine.context_length}")
        wanted = asked.body.max_completion_tokens or asked.body.max_tokens or self.settings.server.max_tokens
        asked.body.max_tokens = min(wanted, room, self.settings.server.max_tokens)

    def _request(self, asked: Asked, number: int) -> Request:
        body = asked.body
        assert body.max_tokens is not None
        return Request(
            [message.plain() for message in body.messages],
            asked.version,
            body.max_tokens,
            body.temperature,
            body.top_p,
            None if body.seed is None else body.seed + number,
            body.stops,
            body.top_logprobs if body.logprobs else 0,
        )

    def _stream(self, asked: Asked) -> Response:
        if asked.body.n != 1 or asked.body.logprobs:
            raise ApiError(400, "stream: only with n = 1 and without logprobs")
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        request = self._request(asked, 0)

        def hand_over(text: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, text)

        request.on_text = hand_over
        future = self.engine.admit(request)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(pieces.put_nowait, None))
        return StreamingResponse(
            self._events(asked, pieces, asyncio.wrap_future(future)),
            media_type="text/event-stream",
            headers={INTERACTION_HEADER: asked.id},
        )

    async def _events(
        self, asked: Asked, pieces: "asyncio.Queue[str | None]", future: "asyncio.Future[Completion]"
    ) -> AsyncIterator[str]:
        """Server-sent events; whatever ends the stream, the interaction is recorded once."""
        name, error, completion = self.settings.model.name, "the client went away", None
        try:
            yield _event(chunk(asked.id, name, asked.version, {"role": "assistant", "content": ""}, None))
            while (text := await pieces.get()) is not None:
                asked.first_token_ms = asked.first_token_ms or asked.elapsed_ms
                yield _event(chunk(asked.id, name, asked.version, {"content": text}, None))
            try:
                completion = await future
                yield _event(chunk(asked.id, name, asked.version, {}, completion.finish_reason))
            except Exception as failure:
                logger.exception("a streamed chat failed")
                error = type(failure).__name__
                yield _event(ApiError(500, "the model failed on this request", "server_error").body())
            yield "data: [DONE]\n\n"
        finally:
            self._record(asked, completion, None if completion else error)

    def _record(self, asked: Asked, completion: Completion | None, error: str | None) -> None:
        if asked.purpose != "user":
            return
        latency = asked.elapsed_ms
        tokens = len(completion.tokens) if completion else 0
        self.traffic.request(asked.id, asked.version, latency, tokens, error, asked.first_token_ms)
        confidence = completion.confidence if completion else None
        interaction = Interaction(
            id=asked.id,
            source="gateway",
            user=asked.body.user,
            session=asked.session,
            at=asked.at,
            messages=[message.plain() for message in asked.body.messages],
            answer=completion.text if completion else "",
            model=self.settings.model.name,
            adapter=asked.version,
            latency_ms=round(latency, 2),
            first_token_ms=None if asked.first_token_ms is None else round(asked.first_token_ms, 2),
            tokens=tokens,
            confidence=None if confidence is None else round(confidence, 4),
            success=confidence is not None and confidence > self.settings.server.confidence_threshold,
            error=error,
        )
        self.log.put({"kind": "interaction", **interaction.model_dump(exclude_none=True)})


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"
