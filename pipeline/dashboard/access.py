"""Who may ask: the right `Host`, the right `Origin`, and for what changes something, the token.

A page in the same browser can send requests to loopback addresses, and with a name of its own that points there
(DNS rebinding) it could read the answers. So only known names are answered, and what a browser sends from another
page is refused.
"""

import hmac
import os
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from pipeline.lib.layout import Layout

TOKEN_FILE = "dashboard.token"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def failure(status: int, message: str, hint: str = "") -> JSONResponse:
    """The answer to what cannot be had."""
    return JSONResponse({"error": {"message": message, "hint": hint}}, status_code=status)


def token_of(layout: Layout) -> str:
    """The token of an installation; made once, readable by its owner only."""
    path = layout.logs / TOKEN_FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii").strip()


def is_authorized(headers: Headers, token: str) -> bool:
    """Whether `Authorization: Bearer …` carries the token; takes as long for a wrong one."""
    return hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {token}".encode())


class Guard:
    """ASGI middleware: refuses other hosts (421) and other origins (403), and tells browsers what a page may do."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = {*LOOPBACK, *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be asked."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        if refusal is None:
            await self.app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)
        elif scope["type"] == "http":
            await failure(*refusal)(scope, receive, send)
        else:
            await WebSocketClose(1008, refusal[1])(scope, receive, send)  # before it is accepted: HTTP 403

    def _refusal(self, headers: Headers) -> tuple[int, str, str] | None:
        hosts = headers.getlist("host")
        name = _name(hosts[0]) if len(hosts) == 1 else None
        if name not in self.hosts:
            return 421, "this name is not known here", "add it to dashboard.hosts if it is yours"
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
            return 403, "asked from another page", "open the dashboard itself"
        return None


def _name(host: str) -> str | None:
    """The name in a `Host` header, without port and brackets; none if it is not one."""
    try:
        url = urlsplit(f"//{host}")
        is_plain = url.netloc == host and url.username is None and url.port != 0  # a port that is none raises
    except ValueError:
        return None
    return url.hostname if is_plain else None  # in small letters


def _with_headers(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return adding
