"""What all engines have in common: which versions there are, which is active, and who is using which."""

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from concurrent.futures import Future
from itertools import islice

from pipeline.backends.engines import fingerprint as fingerprints
from pipeline.backends.engines import reference
from pipeline.backends.engines.chat import Completion, Request
from pipeline.backends.engines.interface import Answered, EngineError, Fingerprint, NotServingError, Proof
from pipeline.lib import generations, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.records import Message

_LEARNED_PROBES = 12  # of a version's own training questions, among which fingerprint probes are looked for
_DISPUTED_PROBES = 8  # of the canary's questions


class VersionedEngine(ABC):
    """See `pipeline.backends.engines.interface.ServingEngine`. Activation is one assignment."""

    quantization = "none"  # of the base that references are computed with; that of the engine, where we load it

    def __init__(self, settings: Settings, probe_pool: list[list[Message]]) -> None:
        """Know the bare base only.

        Args:
            settings: name the base model and where everything lies.
            probe_pool: chats from which fingerprint probes are chosen.
        """
        self.settings = settings
        self.layout = settings.layout
        self.probe_pool = probe_pool
        self._loaded: dict[str, str | None] = {BASE: None}
        self._active = BASE
        self._running: Counter[str] = Counter()
        self._closing = False
        self._guard = threading.Lock()

    @property
    def active(self) -> str:
        """The version that the public name means."""
        return self._active

    @property
    def running(self) -> int:
        """Requests admitted and not yet answered."""
        return self._running.total()

    def versions(self) -> dict[str, str | None]:
        """What is loaded: version → sha256 of its tensors."""
        return dict(self._loaded)

    def admit(self, request: Request) -> "Future[Completion]":
        """Begin a request; an empty version is pinned to the active one, now.

        Raises:
            NotServingError: the version is not loaded, or the engine is ending.
        """
        request.future.set_running_or_notify_cancel()  # whoever waits may go away, but cannot take the future along
        with self._guard:
            if self._closing:
                raise NotServingError("the engine is ending")
            request.version = request.version or self._active
            if request.version not in self._loaded:
                raise NotServingError(f"version {request.version!r} is not loaded")
            self._running[request.version] += 1
        self._begin(request)
        return request.future

    def prepare(self, version: str) -> Fingerprint:
        """Check the files and fingerprint base, active and new version."""
        generation = generations.read(self.layout, version)
        generation.verify_files()
        adapters: dict[str, str | None] = {BASE: None}
        for each in {self._active, version} - {BASE}:
            adapters[each] = str(self.layout.generation(each).resolve())
        pool = [*self.probe_pool, *self._learned_questions(generation), *self._disputed_questions(generation)]
        model = self.settings.model
        return reference.compute(self.settings.base_folder, model.revision, adapters, pool, self.quantization)

    def load(self, version: str) -> None:
        """Load an adapter beside the others."""
        generation = generations.read(self.layout, version)
        if version not in self._loaded:
            generation.verify_files()
            self._add(generation)
            with self._guard:
                self._loaded[version] = generation.sha256

    def verify(self, version: str, fingerprint: Fingerprint, public: bool = False) -> Proof:
        """Ask the probes, under the version's own name or whatever is active."""
        return fingerprints.prove(version, fingerprint, lambda chat: self._answered(chat, "" if public else version))

    def activate(self, version: str) -> None:
        """Let requests admitted from now on have this version."""
        with self._guard:
            if version not in self._loaded:
                raise EngineError(f"version {version!r} is not loaded", "load it first")
            self._active = version

    def drain(self, version: str, timeout: float) -> bool:
        """Wait until no admitted request is pinned to the version."""
        deadline = time.monotonic() + timeout
        while self._running[version] and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._running[version]

    def unload(self, version: str) -> None:
        """Forget a version that nobody uses."""
        with self._guard:
            if version in (self._active, BASE) or self._running[version]:
                raise EngineError(f"version {version!r} is in use", "activate another version and drain first")
            known = version in self._loaded
            sha256 = self._loaded.pop(version, None)
        if not known:
            return
        try:
            self._remove(version)
        except BaseException:
            self._loaded[version] = sha256
            raise

    def reconcile(self) -> list[str]:
        """Load again what the engine has lost (it was restarted, say); returns those versions."""
        return []

    def _answered(self, chat: list[Message], version: str) -> Answered:
        """One greedy answer, as numbers."""
        completion = self.admit(Request(chat, version, reference.MOST_TOKENS, temperature=0.0)).result(timeout=60)
        return Answered(completion.tokens, completion.logprobs)

    def _release(self, *requests: Request) -> None:
        """These requests use their version no more."""
        with self._guard:
            self._running.subtract(request.version for request in requests)

    def _learned_questions(self, generation: Generation) -> list[list[Message]]:
        """Some of the questions that the version was trained on: there, if anywhere, it answers differently."""
        path = self.layout.home / str(generation.manifest["dataset"]["path"]) / "sft.jsonl"
        rows = list(jsonl.read(path))
        return [list(row["messages"][:-1]) for row in rows[:: max(1, len(rows) // _LEARNED_PROBES)]][:_LEARNED_PROBES]

    def _disputed_questions(self, generation: Generation) -> list[list[Message]]:
        """Some that the canary saw answered otherwise than before: late in a lineage two versions agree on most."""
        rows = jsonl.read(generation.folder / "canary.jsonl")
        disputed = (row["messages"] for row in rows if row["candidate"]["text"] != row["incumbent"]["text"])
        return [list(messages) for messages in islice(disputed, _DISPUTED_PROBES)]

    @abstractmethod
    def _begin(self, request: Request) -> None:
        """Answer an admitted request, in the background; `_release` it when its future is about to be done."""

    @abstractmethod
    def _add(self, generation: Generation) -> None:
        """Make a version answerable; every tensor must find its place. Raises EngineError."""

    @abstractmethod
    def _remove(self, version: str) -> None:
        """Forget a version. Raises EngineError."""
