"""Any OpenAI-compatible server: its traffic is logged and learned from, but it has no adapters to swap."""

from pipeline.backends.engines.interface import EngineError
from pipeline.backends.engines.remote import RemoteEngine
from pipeline.lib.generations import Generation


class OpenAiEngine(RemoteEngine):
    """See `pipeline.backends.engines.interface.ServingEngine`."""

    name = "openai"

    def _add(self, generation: Generation) -> None:
        raise EngineError(
            "this engine only observes: a server that is merely OpenAI-compatible has no adapters",
            "engine.kind names one that has: embedded, vllm, llama-server, ollama",
        )

    def _remove(self, version: str) -> None:
        """Nothing was ever loaded."""
