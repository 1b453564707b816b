"""Real servers on loopback that messages are sent to."""

import http.server
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

SECRET = "T0S3CR3T"


@dataclass
class Receiver:
    """An HTTP server that answers from a list (status, headers); None = silence. The last one is repeated."""

    answers: list[tuple[int, dict[str, str]] | None]
    port: int = 0
    scheme: str = "http"
    says: bytes | None = None  # none: it repeats the path, and so the secret
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/services/{SECRET}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]


@contextmanager
def receiving(
    *answers: tuple[int, dict[str, str]] | None, certificate: tuple[Path, Path] | None = None
) -> Iterator[Receiver]:
    told = Receiver(list(answers) or [(200, {})])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            told.received.append((dict(self.headers), body))
            answer = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            if answer is None:
                told.ended.wait(30)
                return
            self.send_response(answer[0])
            said = told.says if told.says is not None else f"no such hook: {self.path}".encode()
            for name, value in {"content-length": str(len(said)), **answer[1]}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # a client that does not trust us hangs up

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            told.scheme = "https"
        told.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield told
        finally:
            told.ended.set()
            server.shutdown()
            thread.join()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that nobody has signed, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return certificate, key


@dataclass
class Mailbox:
    """A mail server that takes everything, unless it is told to answer RCPT or DATA otherwise."""

    recipient: str = "250 OK"
    answers: list[str] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if "refused" in address or not self.recipient.startswith("250"):
            return self.recipient if not self.recipient.startswith("250") else f"550 no {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return self.answers.pop(0) if self.answers else "250 OK"


@contextmanager
def mailbox(certificate: tuple[Path, Path] | None = None, password: str = "", tls: bool = False) -> Iterator[Mailbox]:
    """A mail server on loopback; a certificate: it wants STARTTLS, or TLS at once; a password: it wants a login."""
    told = Mailbox()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    def log_in(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        told.logins.append(given.login)
        return AuthResult(success=given.password == password.encode(), handled=False)

    controller = Controller(
        told,
        "127.0.0.1",
        _free_port(),
        ssl_context=context if tls else None,
        tls_context=None if tls else context,
        require_starttls=bool(context) and not tls,
        authenticator=log_in,
        auth_required=bool(password and context and not tls),
        auth_require_tls=bool(context and not tls),
    )
    controller.start()
    told.port = controller.port
    try:
        yield told
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
