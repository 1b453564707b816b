"""/v1/chat/completions: admit, wait or stream, log."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from pipeline.backends.engines.chat import Completion, Request
from pipeline.backends.engines.interface import EngineError, NotServingError, ServingEngine, UpstreamError
from pipeline.gateway.asked import Asked
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.openai_shapes import (
    CLIENT_GONE,
    INVALID_REQUEST,
    OVERLOADED,
    SERVER_ERROR,
    ApiError,
    ChatRequest,
    RetrievalRequest,
    answer,
    chunk,
    parse,
)
from pipeline.gateway.recall import Recall
from pipeline.gateway.share import CandidateShare
from pipeline.gateway.traffic import Traffic
from pipeline.lib.config import Settings
from pipeline.lib.logs import logger
from pipeline.lib.records import Interaction
from pipeline.metrics import logged
from pipeline.metrics.store import MetricsStore

# Requests that the night itself makes say what they are for; they are not logged as somebody's question.
PURPOSE_HEADER = "x-nightschool-purpose"
SESSION_HEADER = "x-session-id"
INTERACTION_HEADER = "x-nightschool-interaction"

_REFUSALS = (400, 413, 422)  # what servers say to a request that they cannot answer, such as one that is too long

Delta = dict[str, Any]
Answering = asyncio.Future[Completion]


@dataclass(frozen=True, slots=True)
class ChatDoor:
    """Answers chats through the engine and records every one of them."""

    settings: Settings
    engine: ServingEngine
    log: InteractionLog
    traffic: Traffic
    share: CandidateShare
    recall: Recall
    store: MetricsStore | None = None

    async def handle(self, http: HttpRequest) -> Response:
        """One POST."""
        raw = await http.body()
        body = parse(ChatRequest, raw)
        session = http.headers.get(SESSION_HEADER)
        purpose = http.headers.get(PURPOSE_HEADER, "user")
        asked = Asked(
            body,
            self._version(body.model, purpose, session or body.user),
            purpose,
            session,
            json.loads(raw),
        )
        try:
            if (wanted := self.recall.wanted(asked)) is not None:
                return await self._answered_with_passages(asked, wanted)
            return await self._answered(asked)
        except EngineError as error:
            refusal = _as_api_error(error)
            self._record(asked, None, str(error), refusal.kind)
            raise refusal from error
        except ApiError as error:
            self._record(asked, None, str(error), error.kind)
            raise
        except Exception as error:
            logger.exception("a chat failed")
            self._record(asked, None, type(error).__name__, SERVER_ERROR)
            raise ApiError(500, "the model failed on this request; see the log", SERVER_ERROR) from error

    async def _answered(self, asked: Asked) -> Response:
        body = asked.body
        self._check_length(asked)
        if body.stream:
            return await self._stream(asked)
        requests = [self._request(asked, number) for number in range(body.n)]
        waiting = [asyncio.wrap_future(self.engine.admit(request)) for request in requests]
        asked.version = requests[0].version
        completions = await asyncio.gather(*waiting)
        firsts = [each.first_token_at for each in completions if each.first_token_at is not None]
        asked.first_token_ms = (min(firsts) - asked.clock) * 1000 if firsts else None
        self._record(asked, completions[0])
        return JSONResponse(
            answer(asked.id, self.settings.model.name, completions, body.logprobs),
            headers={INTERACTION_HEADER: asked.id},
        )

    async def _answered_with_passages(self, asked: Asked, wanted: RetrievalRequest) -> Response:
        """An engine that does not tell its room may refuse the longer prompt: then the chat goes there as it came."""
        await self.recall.add_to(asked, wanted, self.engine)
        try:
            return await self._answered(asked)
        except UpstreamError as error:
            if not asked.context or error.status not in _REFUSALS:
                raise
            logger.warning("the engine refused a chat with passages; it gets it without them: %s", error)
            asked.context, asked.retrieved = "", {}
            return await self._answered(asked)

    def _version(self, model: str, purpose: str, person: str | None) -> str:
        """The version that a model name means: `name@version`, or for the public one what is active.

        People may get a candidate on trial; what asks for a purpose of its own never does.
        """
        name, _, version = model.partition("@")
        if name not in ("", self.settings.model.name):
            raise ApiError(404, f"no model {model!r}; there is {self.settings.model.name!r}", "not_found_error")
        if version and version not in self.engine.versions():
            raise ApiError(404, f"version {version!r} is not loaded", "not_found_error")
        active = self.engine.active
        return version or (self.share.choose(active, person) if purpose == "user" else active)

    def _check_length(self, asked: Asked) -> None:
        if self.engine.waiting >= self.settings.server.queue:
            raise ApiError(503, "too many waiting requests, try again", OVERLOADED)
        room = self.engine.room(asked.prompt)
        wanted = asked.body.max_completion_tokens or asked.body.max_tokens or self.settings.server.max_tokens
        asked.body.max_tokens = min(wanted, self.settings.server.max_tokens, wanted if room is None else room)

    def _request(self, asked: Asked, number: int) -> Request:
        body = asked.body
        assert body.max_tokens is not None
        return Request(
            asked.prompt,
            asked.version,
            body.max_tokens,
            body.temperature,
            body.top_p,
            None if body.seed is None else body.seed + number,
            body.stops,
            body.top_logprobs if body.logprobs else 0,
            payload=asked.forwarded,
            urgent=asked.purpose == "user",
        )

    async def _stream(self, asked: Asked) -> Response:
        """Begins with the first piece: until then a failure can still be an HTTP status."""
        if asked.body.n != 1 or asked.body.logprobs:
            raise ApiError(400, "stream: only with n = 1 and without logprobs")
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Delta | None] = asyncio.Queue()
        request = self._request(asked, 0)

        def hand_over(delta: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, delta)

        request.on_delta = hand_over
        future = self.engine.admit(request)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(pieces.put_nowait, None))
        first = await pieces.get()
        completion = asyncio.wrap_future(future)
        if first is None:
            await completion
        return StreamingResponse(
            self._events(asked, first, pieces, completion),
            media_type="text/event-stream",
            headers={INTERACTION_HEADER: asked.id},
        )

    async def _events(
        self, asked: Asked, delta: Delta | None, pieces: "asyncio.Queue[Delta | None]", future: "Answering"
    ) -> AsyncIterator[str]:
        """Server-sent events; whatever ends the stream, the interaction is recorded once, before its end is told."""
        name, recorded = self.settings.model.name, False
        try:
            yield _event(chunk(asked.id, name, asked.version, {"role": "assistant", "content": ""}, None))
            while delta is not None:
                asked.first_token_ms = asked.first_token_ms or asked.elapsed_ms
                yield _event(chunk(asked.id, name, asked.version, delta, None))
                delta = await pieces.get()
            completion, error = await _outcome(future)
            told = () if error is None else (str(error), error.kind)
            self._record(asked, completion, *told)
            recorded = True
            if completion is not None:
                yield _event(chunk(asked.id, name, asked.version, {}, completion.finish_reason))
            elif error is not None:
                yield _event(error.body())
            yield "data: [DONE]\n\n"
        finally:
            if not recorded:
                self._record(asked, None, "the client went away", CLIENT_GONE)

    def _looks_right(self, completion: Completion | None) -> bool | None:
        """Until feedback says more: as sure as wanted. None: the engine does not say how sure it is."""
        if completion is None or not (completion.text or completion.message):
            return False
        confidence = completion.confidence
        return None if confidence is None else confidence > self.settings.server.confidence_threshold

    def _record(
        self, asked: Asked, completion: Completion | None, error: str | None = None, kind: str | None = None
    ) -> None:
        if asked.purpose != "user":
            return
        latency = asked.elapsed_ms
        tokens = len(completion.tokens) if completion else 0
        self.traffic.request(asked.id, asked.version, latency, tokens, error, asked.first_token_ms, kind)
        confidence = completion.confidence if completion else None
        interaction = Interaction(
            id=asked.id,
            source="gateway",
            user=asked.body.user,
            session=asked.session,
            at=asked.at,
            messages=asked.said,
            answer=completion.text if completion else "",
            model=self.settings.model.name,
            adapter=asked.version,
            latency_ms=round(latency, 2),
            first_token_ms=None if asked.first_token_ms is None else round(asked.first_token_ms, 2),
            tokens=tokens,
            confidence=None if confidence is None else round(confidence, 4),
            success=self._looks_right(completion),
            error=error,
            retrieval={"history": 0, "tools": 0, **asked.retrieved},
        )
        line = interaction.model_dump(exclude_none=True) | ({} if kind is None else {"error_kind": kind})
        self.log.put({"kind": "interaction", **line})
        if self.store is not None:  # after the log: a rebuild relies on it that what waits here is there
            self.store.add(logged.query(line))


async def _outcome(future: "Answering") -> tuple[Completion | None, ApiError | None]:
    try:
        return await future, None
    except EngineError as failure:
        return None, _as_api_error(failure)
    except Exception:
        logger.exception("a streamed chat failed")
        return None, ApiError(500, "the model failed on this request", SERVER_ERROR)


def _as_api_error(error: EngineError) -> ApiError:
    """As HTTP says it; the request is to blame only for what is wrong with itself."""
    if isinstance(error, UpstreamError):
        return ApiError(error.status, str(error), INVALID_REQUEST if error.status in _REFUSALS else SERVER_ERROR)
    if isinstance(error, NotServingError):
        return ApiError(503, str(error), SERVER_ERROR)
    return ApiError(400, str(error))


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"
