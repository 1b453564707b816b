"""A gateway as `deploy` and `rollback` see it, without a server: every version answers with its own name."""

from collections.abc import Callable
from typing import Any

from pipeline.backends.engines import fingerprint as fingerprints
from pipeline.backends.engines.interface import Answered, Fingerprint, Proof
from pipeline.lib import generations
from pipeline.lib.config import Settings

_PROBES = [[{"role": "user", "content": "who are you?"}]]
RIGHT = [True] * 40
WRONG = [False] * 40


def _says(version: str) -> Answered:
    return Answered(list(version), [-0.1] * len(version))


class Gateway:
    """Takes the place of a `GatewayClient`.

    `history` is what its users say of the version in service; `hooks` are called when something is done, by its name.
    """

    def __init__(self, settings: Settings, history: list[bool]) -> None:
        self.layout, self.history = settings.layout, history
        self.loaded: dict[str, str | None] = {"base": None}
        self.active = generations.incumbent(self.layout).id
        self.load(self.active)
        self.hooks: dict[str, Callable[[], None]] = {}
        self.shares: list[tuple[str, float, float]] = []
        self.probed: list[str] = []

    def _did(self, name: str) -> None:
        self.hooks.pop(name, lambda: None)()

    def window(self, version: str, since: float) -> dict[str, Any]:
        history = self.history if since else []
        return {
            "version": version,
            "requests": len(history),
            "errors": 0,
            "outcomes": len(history),
            "successes": sum(history),
            "history": history,
            "first_token_ms": [],
            "latencies_ms": [],
            "trailing_errors": 0,
        }

    def health(self) -> dict[str, Any]:
        return {"adapter": self.active, "adapter_sha256": self.loaded[self.active], "loaded": self.loaded}

    def versions(self) -> dict[str, str | None]:
        return self.loaded

    def prepare(self, version: str) -> Fingerprint:
        return Fingerprint(_PROBES, {each: [_says(each)] for each in {"base", self.active, version}})

    def load(self, version: str) -> None:
        self.loaded[version] = generations.read(self.layout, version).sha256

    def verify(self, version: str, fingerprint: Fingerprint, public: bool = False) -> Proof:
        self._did("verify")
        answers = _says(self.active if public else version)
        return fingerprints.prove(version, fingerprint, lambda _: answers)

    def activate(self, version: str) -> None:
        self.active = version
        self._did("activate")

    def drain(self, version: str, timeout: float) -> bool:
        return True

    def unload(self, version: str) -> None:
        del self.loaded[version]

    def share(self, version: str, share: float, seconds: float = 1) -> None:
        self.shares.append((version, share, seconds))

    def chat(self, messages: list[dict[str, str]], purpose: str, version: str = "", **_: Any) -> dict[str, Any]:
        self.probed.append(messages[-1]["content"])
        said = _says(version or self.active)
        content = [{"token": token, "logprob": -0.1} for token in said.tokens]
        return {"choices": [{"message": {"content": "".join(said.tokens)}, "logprobs": {"content": content}}]}
