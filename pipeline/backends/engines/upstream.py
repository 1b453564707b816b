"""The HTTP side of an engine with a door of its own: chats (whole or streamed) and control calls.

A call that was lost before its first byte is made once more.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import aiohttp

from pipeline.backends.engines.chat import Completion
from pipeline.backends.engines.interface import UpstreamError
from pipeline.lib.text import without_logins

_CONNECT_SECONDS = 5.0
_PAUSE = 0.2  # seconds before the second try
_LARGEST_LINE = 8 << 20  # bytes of one server-sent event
_LOST = (aiohttp.ClientConnectionError, ConnectionError)
_BUSY = (502, 503, 504)

Delta = Callable[[dict[str, Any]], None]


class Upstream:
    """A client for one server; safe to use from many threads."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        """Open nothing yet.

        Args:
            url: where the server is, without /v1.
            key: its API key, if it wants one.
            timeout: longest silence of the server, in seconds.
        """
        self.url = url.rstrip("/").removesuffix("/v1")
        self.place = without_logins(self.url)
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=timeout)
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._jobs: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._thread.start()

    def run(self, job: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Start something on the loop of this client; gives its future."""
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Start something on the caller's own event loop, or where there is none on that of this client."""
        try:
            task = asyncio.get_running_loop().create_task(job)
        except RuntimeError:
            self.run(job)
        else:  # so that no chat has to be passed to another thread and back
            self._jobs.add(task)
            task.add_done_callback(self._jobs.discard)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, timeout: float | None = None) -> Any:
        """One control call, not repeated; the answer's JSON, or its text where it is none.

        Raises:
            UpstreamError: no answer, or one that is no success.
        """
        return self.run(self._call(method, path, body, timeout)).result()

    async def chat(self, body: dict[str, Any], version: str, on_delta: Delta | None) -> Completion:
        """Ask; with `on_delta` the pieces of the answer are handed on as they come.

        Raises:
            UpstreamError: refused, lost (twice, or in the middle), or answered with something that is no chat.
        """
        try:
            return await self._try(body, version, on_delta)
        except _UnansweredError:
            await asyncio.sleep(_PAUSE)
        try:
            return await self._try(body, version, on_delta)
        except _UnansweredError as error:
            raise UpstreamError(str(error), error.status) from error

    def close(self) -> None:
        """Close the connections and end the thread; the loops that chats came from must still run."""
        for loop, session in list(self._sessions.items()):
            asyncio.run_coroutine_threadsafe(session.close(), loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _session(self) -> aiohttp.ClientSession:
        """The pool of connections of the loop that asks: it must not be shared between loops."""
        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            self._sessions[loop] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=self._timeout,
                headers=self._headers,
                read_bufsize=_LARGEST_LINE,
            )
        return self._sessions[loop]

    async def _call(self, method: str, path: str, body: dict[str, Any] | None, timeout: float | None) -> Any:
        limit = self._timeout if timeout is None else aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._session().request(method, self.url + path, json=body, timeout=limit) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamError(f"no answer from the engine at {self.place}: {_words(error)}", 502) from error
        if response.status >= 400:
            raise UpstreamError(f"the engine refused {path}: {_reason(text, response.status)}", response.status)
        try:
            return json.loads(text)
        except ValueError:
            return text

    async def _try(self, body: dict[str, Any], version: str, on_delta: Delta | None) -> Completion:
        asked = time.monotonic()
        try:
            async with self._session().post(self.url + "/v1/chat/completions", json=body) as response:
                if response.status >= 400:
                    raise _refusal(await response.text(), response.status)
                if on_delta is not None and response.content_type == "text/event-stream":
                    return await _streamed(response, version, on_delta)
                completion = _whole(await response.text(), version)
                if on_delta is not None:  # an engine that does not stream
                    on_delta({"content": completion.text, **completion.message})
                return completion
        except TimeoutError as error:
            raise UpstreamError(f"the engine was silent for {time.monotonic() - asked:.0f} s", 504) from error
        except _LOST as error:
            raise _UnansweredError(f"the engine at {self.place} was lost: {_words(error)}", 502) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(f"the engine's answer broke off: {_words(error)}", 502) from error


class _UnansweredError(Exception):
    """Lost before the first byte: nothing has been answered, so it may be asked again."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _whole(text: str, version: str) -> Completion:
    try:
        value = json.loads(text)
        choice = value["choices"][0]
        message = dict(choice["message"])
    except (ValueError, LookupError, TypeError) as error:
        raise UpstreamError(f"the engine's answer is no chat: {_reason(text, 200)}", 502) from error
    return _completion(
        message.pop("content", None) or "",
        choice.get("finish_reason"),
        (value.get("usage") or {}).get("prompt_tokens", 0),
        (choice.get("logprobs") or {}).get("content") or [],
        version,
        None,
        {key: each for key, each in message.items() if each and key != "role"},
    )


async def _streamed(response: aiohttp.ClientResponse, version: str, on_delta: Delta) -> Completion:
    """Hand the pieces on; a stream that ends without saying why was cut."""
    texts: list[str] = []
    tokens: list[dict[str, Any]] = []
    first: float | None = None
    finish: str | None = None
    prompt_tokens = 0
    try:
        async for event in _events(response):
            prompt_tokens = (event.get("usage") or {}).get("prompt_tokens", prompt_tokens)
            for choice in event["choices"][:1]:
                delta = {key: each for key, each in (choice.get("delta") or {}).items() if each and key != "role"}
                tokens += (choice.get("logprobs") or {}).get("content") or []
                finish = choice.get("finish_reason") or finish
                if delta:
                    first = first or time.monotonic()
                    texts.append(delta.get("content", ""))
                    on_delta(delta)
    except _LOST as error:
        if first is None:
            raise
        raise UpstreamError(f"the engine's stream broke off: {_words(error)}", 502) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UpstreamError("the engine's stream is no chat", 502) from error
    if finish is None:
        if first is None:
            raise _UnansweredError("the engine's stream ended before it began", 502)
        raise UpstreamError("the engine's stream was cut", 502)
    return _completion("".join(texts), finish, prompt_tokens, tokens, version, first, {})


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        data = line.strip().removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or data == b"[DONE]":
            continue
        event = json.loads(data)
        if "error" in event:
            raise UpstreamError(f"the engine failed: {_reason(data.decode(), 500)}", 502)
        yield event


def _completion(
    text: str,
    finish: str | None,
    prompt_tokens: int,
    tokens: list[dict[str, Any]],
    version: str,
    first: float | None,
    message: dict[str, Any],
) -> Completion:
    if tokens and "".join(each["token"] for each in tokens[:-1]) == text:
        tokens = tokens[:-1]  # some engines count what ended the answer as a token of it
    return Completion(
        text,
        finish or "stop",
        prompt_tokens,
        [each["token"] for each in tokens],
        [each["logprob"] for each in tokens],
        [[(other["token"], other["logprob"]) for other in each.get("top_logprobs") or []] for each in tokens],
        version,
        first,
        message,
    )


def _refusal(text: str, status: int) -> Exception:
    reason = _reason(text, status)
    # Ollama's runner drops a connection in about one of a thousand calls, which its server reports as EOF.
    if status in _BUSY or (status == 500 and "EOF" in text):
        return _UnansweredError(reason, status)
    return UpstreamError(reason, status if status < 500 else 502)


def _reason(text: str, status: int) -> str:
    """The message of an error's body, whatever shape it has."""
    message: Any = None
    with suppress(ValueError, AttributeError):
        error = json.loads(text).get("error")
        message = error.get("message") if isinstance(error, dict) else error
    return f"HTTP {status}: {str(message or text.strip() or 'nothing')[:300]}"


def _words(error: BaseException) -> str:
    return without_logins(str(error)) or type(error).__name__
