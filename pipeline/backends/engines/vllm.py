"""vLLM: adapters are loaded at run time, beside each other.

Started with `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`. Names and paths are never used again for
something else: vLLM's prefix cache is keyed by them, and reloading in place switches running answers.
"""

from pipeline.backends.engines.remote import RemoteEngine
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.generations import Generation

_LOAD = "/v1/load_lora_adapter"


class VllmEngine(RemoteEngine):
    """See `pipeline.backends.engines.interface.ServingEngine`."""

    name = "vllm"

    def _require_adapters(self) -> None:
        described = self.upstream.call("GET", "/openapi.json", timeout=30)
        if _LOAD not in described.get("paths", {}):
            raise ConfigurationError(
                f"vLLM at {self.upstream.place} does not load adapters at run time",
                "start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
            )

    def _add(self, generation: Generation) -> None:
        if (name := self._name(generation.id)) in self._registered():
            return
        path = str(generation.folder.resolve())
        self.upstream.call("POST", _LOAD, {"lora_name": name, "lora_path": path}, timeout=120)

    def _remove(self, version: str) -> None:
        if (name := self._name(version)) in self._registered():
            self.upstream.call("POST", "/v1/unload_lora_adapter", {"lora_name": name}, timeout=120)
