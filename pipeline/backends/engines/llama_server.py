"""llama-server (llama.cpp) in router mode: each version is a section of its presets file and a process of its own.

Started with `--models-preset <file>`; the file must have a section with `model = …` for the bare base. llama-server
itself cannot load adapters at run time, and one that is switched on for a warm slot answers with the old one's cache.
"""

import configparser
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.backends.engines import gguf
from pipeline.backends.engines.chat import Request
from pipeline.backends.engines.interface import EngineError
from pipeline.backends.engines.remote import RemoteEngine
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.files import locked, write_bytes
from pipeline.lib.generations import Generation

ADAPTER = "adapter.gguf"
_LOAD_SECONDS = 300.0
_TICK = 0.05
_HEAD = "keys before the first section"
_WHAT = "engine.presets is the file that llama-server got as --models-preset"


class _Presets(configparser.ConfigParser):
    """Keys keep their case: some are names of environment variables."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


class LlamaServerEngine(RemoteEngine):
    """See `pipeline.backends.engines.interface.ServingEngine`."""

    name = "llama-server"

    @property
    def _presets(self) -> Path:
        if not self.settings.engine.presets:
            raise ConfigurationError("engine.presets is not set", _WHAT)
        return self.settings.home / self.settings.engine.presets

    def _require_adapters(self) -> None:
        models = self.upstream.call("GET", "/models", timeout=10)
        if not all("status" in each for each in models.get("data", [{}])):
            raise ConfigurationError(
                f"llama-server at {self.upstream.place} is not in router mode", "start it with --models-preset"
            )
        gguf.require_converters(self.settings.home / self.settings.engine.converters)

    def _first_model(self) -> str:
        """The first section with a model and without an adapter."""
        for name, section in self._sections(self._read()).items():
            if "model" in section and "lora" not in section:
                return name
        raise ConfigurationError(f"{self._presets} has no section with a model", "add one for the bare base")

    def _body(self, request: Request) -> dict[str, Any]:
        """Without an alternative it tells no log-probabilities at all."""
        body = super()._body(request)
        return {**body, "top_logprobs": max(1, request.top_logprobs)}

    def _add(self, generation: Generation) -> None:
        name = self._name(generation.id)
        adapter = generation.folder.resolve() / ADAPTER
        if not adapter.is_file():
            converters = self.settings.home / self.settings.engine.converters
            gguf.convert_adapter(adapter.parent, self.settings.base_folder, converters, adapter)
        base = self._sections(self._read())[self.base_name]
        with self._changed_presets(name) as lines:
            settings = {**base, "lora": str(adapter)}
            lines += [f"{key} = {value}" for key, value in settings.items() if key != "load-on-startup"]
        if self._status(name) != "loaded":
            self.upstream.call("POST", "/models/load", {"model": name}, timeout=30)
            self._wait_until_loaded(name)

    def _remove(self, version: str) -> None:
        name = self._name(version)
        if self._status(name) not in ("unloaded", None):
            self.upstream.call("POST", "/models/unload", {"model": name}, timeout=30)
        with self._changed_presets(name):
            pass

    def _registered(self) -> set[str]:
        models = self.upstream.call("GET", "/models", timeout=10)
        return {str(each["id"]) for each in models["data"]}

    def _status(self, name: str) -> str | None:
        models = self.upstream.call("GET", "/models", timeout=10)
        found = next((each for each in models["data"] if each["id"] == name), None)
        if found is None:
            return None
        if found["status"].get("failed"):
            raise EngineError(f"llama-server could not load {name}: exit code {found['status'].get('exit_code')}")
        return str(found["status"]["value"])

    def _wait_until_loaded(self, name: str) -> None:
        deadline = time.monotonic() + _LOAD_SECONDS
        while (status := self._status(name)) != "loaded":
            if status is None or time.monotonic() > deadline:
                raise EngineError(f"llama-server did not load {name}: {status or 'unknown to it'}")
            time.sleep(_TICK)

    def _sections(self, text: str) -> dict[str, dict[str, str]]:
        presets = _Presets(interpolation=None, strict=False)
        try:
            presets.read_string(f"[{_HEAD}]\n{text}")  # llama.cpp allows keys before the first section
        except configparser.Error as error:
            raise ConfigurationError(f"{self._presets}: {error}", _WHAT) from error
        return {name: dict(presets[name]) for name in presets.sections() if name != _HEAD}

    def _read(self) -> str:
        try:
            return self._presets.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot read {self._presets}: {error.strerror}", _WHAT) from error

    @contextmanager
    def _changed_presets(self, name: str) -> Iterator[list[str]]:
        """Replace one section by the lines that the block puts into the list; then the server reads the file again."""
        with locked(self.layout.lock("presets"), "a change of the presets"):
            text = re.sub(rf"(?ms)^\[{re.escape(name)}\]\n.*?(?=^\[|\Z)", "", self._read())
            lines: list[str] = []
            yield lines
            section = f"\n[{name}]\n" + "".join(f"{line}\n" for line in lines) if lines else ""
            write_bytes(self._presets, f"{text.rstrip()}\n{section}".encode())
        self.upstream.call("GET", "/models?reload=1", timeout=30)
