"""The engine that the settings name."""

from pipeline.backends.engines.interface import ServingEngine
from pipeline.lib.config import Settings
from pipeline.lib.records import Message


def start(settings: Settings, probe_pool: list[list[Message]]) -> ServingEngine:
    """Start or find it; each is imported only where it is used.

    Raises:
        ConfigurationError: the base model, or a setting that the engine needs, is missing.
        UnavailableError: it does not answer.
    """
    if settings.engine.kind == "vllm":
        from pipeline.backends.engines.vllm import VllmEngine

        return VllmEngine(settings, probe_pool)
    if settings.engine.kind == "llama-server":
        from pipeline.backends.engines.llama_server import LlamaServerEngine

        return LlamaServerEngine(settings, probe_pool)
    if settings.engine.kind == "ollama":
        from pipeline.backends.engines.ollama import OllamaEngine

        return OllamaEngine(settings, probe_pool)
    if settings.engine.kind == "openai":
        from pipeline.backends.engines.openai import OpenAiEngine

        return OpenAiEngine(settings, probe_pool)
    from pipeline.backends.engines.embedded import EmbeddedEngine

    return EmbeddedEngine(settings, probe_pool)
