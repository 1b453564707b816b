"""A server that answers as it is told: no real engine misbehaves on demand. tests/engines asks real ones."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler, int], None]


class StandIn:
    """A server on a loopback port that answers as it is told; `asked` counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.models = ["their-model"]
        self.health: dict[str, Any] = {}  # told beside the models
        self.body: dict[str, Any] = {}
        self.behaviour: Behaviour = lambda handler, asked: None
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer on a kept connection takes 40 ms

            def do_GET(self) -> None:
                models = [{"id": each} for each in stand_in.models]
                send(self, json.dumps({"data": models, **stand_in.health}).encode())

            def do_POST(self) -> None:
                self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                stand_in.body = self.body
                stand_in.asked += 1
                stand_in.behaviour(self, stand_in.asked)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def body_of(handler: BaseHTTPRequestHandler) -> dict[str, Any]:
    """What this request asked; the stand-in's own `body` is that of the latest one."""
    return dict(vars(handler)["body"])


def whole(text: str = "yes", **more: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 3}}).encode()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, kind: str = "application/json") -> None:
    handler.send_response(status)
    handler.send_header("content-type", kind)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def drop(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def stream(handler: BaseHTTPRequestHandler, events: list[dict[str, Any]], ends: bool = True) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("connection", "close")
    handler.end_headers()
    for event in events:
        handler.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
    if ends:
        handler.wfile.write(b"data: [DONE]\n\n")
    handler.close_connection = True


def piece(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}
