"""The model that is taught, its engine, and the door before it."""

from typing import Literal

from pydantic import Field

from pipeline.lib.sections.values import Section


class Model(Section):
    """The model that is taught."""

    name: str = Field("starter", pattern=r"^[\w.-]+$", description="public name under which the server offers it")
    base: str = Field("models/starter", description="base model: a folder (relative to home) or a hub id")
    revision: str | None = Field(None, description="revision of a hub id")
    quantization: Literal["none", "nf4"] = Field("none", description="nf4 = QLoRA through bitsandbytes")


class Server(Section):
    """The gateway that `nightschool serve` opens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8808, ge=0, le=65535, description="port to listen on; 0 = any free one")
    threads: int = Field(
        0, ge=0, description="math threads of the embedded engine; 0 = half of the processors, all for wide batches"
    )
    max_batch: int = Field(128, ge=1, description="most requests in one micro-batch")
    max_tokens: int = Field(256, ge=1, description="most tokens in one answer")
    queue: int = Field(4096, ge=1, description="most waiting requests; beyond, the answer is 503")
    confidence_threshold: float = Field(
        0.7, ge=0, le=1, description="an answer above it counts as a success until feedback says otherwise"
    )


class Engine(Section):
    """What serves the model behind the gateway."""

    kind: Literal["embedded", "vllm", "llama-server", "ollama", "openai"] = Field(
        "embedded", description="openai = any OpenAI-compatible server: observed only, it has no adapters"
    )
    url: str = Field("http://127.0.0.1:8000", description="where it answers; its key: NIGHTSCHOOL_ENGINE_KEY")
    base_name: str | None = Field(None, description="its name for the bare base model; none = the first it offers")
    timeout: float = Field(120, gt=0, description="longest silence of the engine, in seconds")
    background: int = Field(
        32, ge=1, description="most of the night's own requests that it gets at once; people's go past those that wait"
    )
    check_minutes: float = Field(5, gt=0, description="how often the gateway asks who is answering")
    presets: str | None = Field(None, description="llama-server: the file of its --models-preset (relative to home)")
    converters: str = Field(
        "llama.cpp", description="llama-server, ollama: folder of llama.cpp, for its converters to GGUF"
    )
    ollama_mode: Literal["merged", "adapter"] = Field(
        "merged", description="merged = whole models; adapter = only servers before 0.34.1"
    )
