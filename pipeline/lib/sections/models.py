"""Other models, and where what models wrote is executed."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipeline.lib.sections.values import Capability, Seconds, Section, split


class ProviderModel(Section):
    """One `[[providers.models]]` of the file: a model that may be asked, see docs/models.md."""

    name: str = Field(pattern=r"^[\w.:-]+$", description="what you call it")
    kind: Literal["ollama", "openai"] = Field(description="what serves it; openai = any OpenAI-compatible server")
    url: str | None = Field(None, description="where; none = Ollama at OLLAMA_HOST, or the usual port of this machine")
    model: str = Field(min_length=1, description="its name on that server")
    capabilities: Annotated[list[Capability] | None, BeforeValidator(split)] = Field(
        None, description="what it can do; none = guessed from its name"
    )
    context: int | None = Field(None, ge=1, description="most tokens of question and answer together")
    price_in: float = Field(0, ge=0, description="price of a million tokens of questions")
    price_out: float = Field(0, ge=0, description="price of a million tokens of answers")
    key_variable: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="environment variable that holds its key"
    )
    speed: float | None = Field(None, gt=0, description="tokens per second, as you expect them until they are measured")

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.kind == "openai" and not self.url:
            raise ValueError("kind openai needs a url")
        return self


class Providers(Section):
    """Other models that may be asked for better answers (`harvest.teacher`)."""

    order: Annotated[list[Literal["ollama", "openai", "embedded"]], BeforeValidator(split)] = Field(
        ["ollama", "openai", "embedded"],
        description="the first that is set and healthy answers; embedded = what the gateway serves",
    )
    ollama_url: str | None = Field(None, description="none = OLLAMA_HOST, or the usual port of this machine")
    ollama_model: str | None = Field(None, description="a model that Ollama has")
    openai_url: str | None = Field(None, description="any OpenAI-compatible server; its key: NIGHTSCHOOL_PROVIDER_KEY")
    openai_model: str | None = Field(None, description="a model that it has")
    timeout: Seconds = Field(120, gt=0, description="longest silence, in seconds")
    attempts: int = Field(4, ge=1, description="how often one is asked before the next")
    models: list[ProviderModel] = Field(
        [], description="more of them, asked before those in `order`: one [[providers.models]] each, see docs/models.md"
    )

    @field_validator("models")
    @classmethod
    def _are_told_apart(cls, models: list[ProviderModel]) -> list[ProviderModel]:
        names = ["ollama", "openai", "embedded", *(each.name for each in models)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the name {name!r} is taken")
        return models


class Vm(Section):
    """Programs of the Sovereign VM that ask a model for code (LLMGEN, EVOLVE): it is one of the providers."""

    timeout: Seconds = Field(60, gt=0, description="longest wait for one answer, in seconds")
    max_tokens: int = Field(1024, ge=1, description="most tokens in one answer")
    reference: bool = Field(True, description="tell the model the operations; the starter knows those it needs")


class Sandbox(Section):
    """Where code is executed that a model wrote (checks of type python)."""

    mechanism: Literal["bubblewrap", "landlock"] = Field(
        "bubblewrap",
        description="landlock (Linux 6.12) where bubblewrap cannot work; it hides less: docs/sandbox.md",
    )
    processor_seconds: int = Field(5, ge=1, le=3600, description="processor time for all cases of an answer")
    seconds: float = Field(15, gt=0, le=3600, description="the same by the clock, waiting included")
    memory_mb: int = Field(512, ge=64, description="most memory (MiB)")
    disk_mb: int = Field(16, ge=1, le=1024, description="most in /tmp, which lies in memory (MiB)")
    output_kb: int = Field(1024, ge=1, description="most that all cases may return or print together (KiB)")
