"""Ollama: every version is a model of its own, made from GGUF files; `<name>:current` follows for who asks it directly.

`merged` (default) bakes the adapter into a whole model. `adapter` puts it on the base model, which servers from 0.34.1
on refuse; two adapters on one base never run side by side there.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ollama

from pipeline.backends.engines import gguf
from pipeline.backends.engines.interface import EngineError
from pipeline.backends.engines.remote import RemoteEngine
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.records import Message
from pipeline.lib.text import without_logins

_KEPT_WARM = "24h"
_NO_ADAPTERS_FROM = (0, 34, 1)


class OllamaEngine(RemoteEngine):
    """See `pipeline.backends.engines.interface.ServingEngine`."""

    name = "ollama"

    def __init__(self, settings: Settings, probe_pool: list[list[Message]]) -> None:
        self.client = ollama.Client(host=settings.engine.url, timeout=settings.engine.timeout)
        super().__init__(settings, probe_pool)

    def activate(self, version: str) -> None:
        """As every engine does, and point Ollama's own name at it."""
        super().activate(version)
        self._asked(lambda: self.client.copy(self._name(version), f"{self.settings.model.name}:current"))

    def _require_adapters(self) -> None:
        if self.settings.engine.ollama_mode == "merged":
            return
        told = self.upstream.call("GET", "/api/version", timeout=10)
        version = str(told.get("version", "")) if isinstance(told, dict) else ""
        numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
        if numbers >= _NO_ADAPTERS_FROM:
            raise ConfigurationError(
                f"Ollama {version} makes no models with adapters any more", 'set engine.ollama_mode = "merged"'
            )

    def _name(self, version: str) -> str:
        if version == BASE:
            return self.base_name
        return f"{self.settings.model.name}:{self._unique(version)}"

    def _add(self, generation: Generation) -> None:
        name = self._name(generation.id)
        if name not in self._registered():
            merged = self.settings.engine.ollama_mode == "merged"
            file = self._converted(generation, merged)
            digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
            self._asked(lambda: self.client.create_blob(file))
            if merged:
                base = self._asked(lambda: self.client.show(self.base_name))
                made: dict[str, Any] = {"files": {file.name: digest}, "template": base.template}
            else:
                # From the pristine base: on a model that has an adapter both would add up.
                made = {"from_": self.base_name, "adapters": {file.name: digest}}
            self._asked(lambda: self.client.create(model=name, **made))
        self._asked(lambda: self.client.generate(model=name, prompt="", keep_alive=_KEPT_WARM))

    def _remove(self, version: str) -> None:
        if (name := self._name(version)) in self._registered():
            self._asked(lambda: self.client.delete(name))

    def _converted(self, generation: Generation, merged: bool) -> Path:
        converters = self.settings.home / self.settings.engine.converters
        folder = generation.folder.resolve()
        file = folder / ("merged.gguf" if merged else "adapter.gguf")
        if not file.is_file():
            convert = gguf.convert_merged if merged else gguf.convert_adapter
            convert(folder, self.settings.base_folder, converters, file)
        return file

    def _asked(self, job: Callable[[], Any]) -> Any:
        """One call; what Ollama refuses or loses is an engine's error."""
        try:
            return job()
        except (ollama.ResponseError, ConnectionError, OSError) as error:
            raise EngineError(without_logins(f"Ollama at {self.settings.engine.url}: {error}")) from error
