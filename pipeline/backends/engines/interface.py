"""What Nightschool asks of a serving engine.

The order of a promotion: prepare → load → verify → activate → verify through the public name → drain → unload.
A rollback is `activate(previous)`; the previous version stays loaded until the next promotion. A *version* is the id
of a generation (`base` for the bare model); its name is never re-used for other tensors.
"""

from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from pipeline.backends.engines.chat import Completion, Request
from pipeline.lib.errors import NightschoolError
from pipeline.lib.records import Message


class EngineError(NightschoolError):
    """The engine could not do what it was asked; what it served before, it still serves."""


class UpstreamError(EngineError):
    """An engine with a door of its own refused a chat, or was lost. `status` is HTTP's, for the client."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotServingError(EngineError):
    """The engine is ending or has lost the version: no other request would fare better."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One greedy answer as numbers: the tokens as text, and the log-probability (nats) of each."""

    tokens: list[str]
    logprobs: list[float]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What each version answers to the same probes, computed with PEFT, away from the server.

    `references[version][i]` belongs to `probes[i]` (a chat). `noise` is how far the engine's own bare base lies from
    its reference (a quantized one computes other numbers), per token.
    """

    probes: list[list[dict[str, str]]]
    references: dict[str, list[Answered]]
    noise: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Fingerprint":
        """The inverse of `to_json`."""
        references = {
            version: [Answered(each["tokens"], each["logprobs"]) for each in answers]
            for version, answers in value["references"].items()
        }
        return cls(value["probes"], references, value.get("noise", 0.0))


@dataclass(frozen=True, slots=True)
class Proof:
    """Which version the probes say is answering. `distances` are per token, smaller is nearer."""

    expected: str
    nearest: str
    holds: bool
    distances: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Engine(Protocol):
    """A server of versions."""

    @property
    def active(self) -> str:
        """The version that the public name means."""

    def versions(self) -> dict[str, str | None]:
        """What is loaded: version → sha256 of its tensors (none for `base`)."""

    def prepare(self, version: str) -> Fingerprint:
        """Check the files and compute what the version must answer. Raises EngineError."""

    def load(self, version: str) -> None:
        """Make the version answerable under its own name. Raises EngineError; then nothing has changed."""

    def verify(self, version: str, fingerprint: Fingerprint, public: bool = False) -> Proof:
        """Ask the probes, cold and warm, under the version's own or the public name."""

    def activate(self, version: str) -> None:
        """Let the public name mean this version, for every request admitted from now on. Raises EngineError."""

    def drain(self, version: str, timeout: float) -> bool:
        """Wait until no running request uses the version; false when the seconds run out."""

    def unload(self, version: str) -> None:
        """Forget the version. Raises EngineError when it is active or in use."""


class ServingEngine(Engine, Protocol):
    """An engine as the gateway uses it."""

    name: str

    @property
    def waiting(self) -> int:
        """Requests admitted but not begun."""

    def room(self, messages: list[Message]) -> int | None:
        """Tokens left for an answer to this chat; none: only the engine knows. Raises EngineError when none are.

        It may take seconds for a long chat. One thread at a time may ask.
        """

    def admit(self, request: Request) -> "Future[Completion]":
        """Begin a request, pinned to a version. Raises EngineError."""

    def reconcile(self) -> list[str]:
        """Load again what the engine has lost; returns those versions. Raises EngineError."""

    def close(self) -> None:
        """Finish what was admitted, then end."""
