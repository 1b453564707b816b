"""The night tells a webhook how it ended; a dead webhook changes nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import Home


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, object]]]]:
    received: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/services/very-secret", received
    server.shutdown()
    server.server_close()


def test_failed_night_is_told_once_with_the_next_step(
    home: Home, receiver: tuple[str, list[dict[str, object]]]
) -> None:
    url, received = receiver
    assert home.night(NOTIFICATION_WEBHOOK=url).returncode == 69
    assert len(received) == 1
    assert "failed" in str(received[0]["text"])
    written = "".join(path.read_text() for path in (home.folder / "logs").rglob("*") if path.is_file())
    assert "very-secret" not in written


def test_dead_webhook_changes_nothing(home: Home) -> None:
    done = home.night(NOTIFICATION_WEBHOOK="http://127.0.0.1:9/very-secret")
    assert done.returncode == 69
    assert "very-secret" not in done.stdout + done.stderr
