"""The Ollama engine against written-down exchanges; `pytest -m ollama` asks a real server at OLLAMA_HOST instead."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import handmade
import pytest

from pipeline.backends.engines import gguf
from pipeline.backends.engines.interface import EngineError
from pipeline.backends.engines.ollama import OllamaEngine
from pipeline.lib.errors import ConfigurationError

RECORDED = json.loads((Path(__file__).parent / "recordings" / "ollama.json").read_text())["exchanges"]


class Replay:
    """Answers as recorded and remembers what was asked; `models` are those that it lists."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.models = ["starter:base"]
        self.fails: dict[str, int] = {}
        self.version = "0.34.0"
        replay = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = json.loads(body) if body[:1] == b"{" else body
                replay.asked.append((self.command, self.path, asked))
                found = next(
                    each for each in RECORDED if each["method"] == self.command and self.path.startswith(each["path"])
                )
                value, status = found["answer"], replay.fails.get(self.path, found["status"])
                if self.path == "/v1/models":
                    value = {**value, "data": [{**value["data"][0], "id": name} for name in replay.models]}
                if self.path == "/api/version":
                    value = {"version": replay.version}
                if status >= 500:
                    value = {"error": "boom"}
                if self.path == "/api/create" and status == 200:
                    replay.models.append(asked["model"])
                content = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def calls(self, path: str) -> list[Any]:
        return [body for _, asked, body in self.asked if asked.startswith(path)]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def replay() -> Iterator[Replay]:
    server = Replay()
    yield server
    server.stop()


@pytest.fixture(params=["merged", "adapter"])
def engine(
    request: pytest.FixtureRequest, replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OllamaEngine]:
    def convert(_folder: Path, _base: str, _converters: Path, target: Path) -> None:
        target.write_bytes(f"GGUF {target.stem}".encode())  # the converters are tested on the real thing elsewhere

    monkeypatch.setattr(gguf, "convert_merged", convert)
    monkeypatch.setattr(gguf, "convert_adapter", convert)
    url = f"http://127.0.0.1:{replay.server.server_port}"
    made = handmade.make_settings(tmp_path, engine={"kind": "ollama", "url": url, "ollama_mode": request.param})
    handmade.make(made, handmade.FIRST)
    started = OllamaEngine(made, [])
    yield started
    started.close()


def test_a_version_is_a_model_made_from_the_pristine_base(engine: OllamaEngine, replay: Replay) -> None:
    engine.load(handmade.FIRST)
    (made,) = replay.calls("/api/create")
    assert made["model"].startswith(f"starter:{handmade.FIRST}-")
    if engine.settings.engine.ollama_mode == "merged":
        assert list(made["files"]) == ["merged.gguf"]
        assert made["template"] == "{{ .Prompt }}"
    else:
        assert (made["from"], list(made["adapters"])) == ("starter:base", ["adapter.gguf"])
    (warmed,) = replay.calls("/api/generate")
    assert (warmed["model"], warmed["prompt"]) == (made["model"], "")


def test_a_version_that_ollama_has_is_not_made_twice(engine: OllamaEngine, replay: Replay) -> None:
    engine.load(handmade.FIRST)
    engine.unload(handmade.FIRST)
    engine.load(handmade.FIRST)
    assert len(replay.calls("/api/create")) == 1
    assert len(replay.calls("/api/delete")) == 1


def test_activation_points_ollamas_own_name_at_the_version(engine: OllamaEngine, replay: Replay) -> None:
    engine.load(handmade.FIRST)
    engine.activate(handmade.FIRST)
    engine.activate("base")
    first, back = replay.calls("/api/copy")
    assert first["source"].startswith(f"starter:{handmade.FIRST}")
    assert (back["source"], first["destination"], back["destination"]) == ("starter:base", *["starter:current"] * 2)


def test_what_ollama_refuses_is_an_engine_error_and_nothing_is_loaded(engine: OllamaEngine, replay: Replay) -> None:
    replay.fails["/api/create"] = 500
    with pytest.raises(EngineError, match="boom"):
        engine.load(handmade.FIRST)
    assert list(engine.versions()) == ["base"]
    assert engine.active == "base"


@pytest.mark.parametrize("version", ["0.34.1", "0.35.0", "1.0.0-rc1"])
def test_a_server_that_makes_no_adapter_models_is_refused_in_that_mode(
    replay: Replay, tmp_path: Path, version: str
) -> None:
    replay.version = version
    url = f"http://127.0.0.1:{replay.server.server_port}"
    made = handmade.make_settings(tmp_path, engine={"kind": "ollama", "url": url, "ollama_mode": "adapter"})
    with pytest.raises(ConfigurationError, match=version):
        OllamaEngine(made, [])


@pytest.mark.ollama
def test_a_real_server_lists_its_models(tmp_path: Path) -> None:
    made = handmade.make_settings(tmp_path, engine={"kind": "ollama", "url": os.environ["OLLAMA_HOST"]})
    real = OllamaEngine(made, [])
    assert real.base_name
    real.close()
