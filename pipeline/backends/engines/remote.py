"""An engine with a door of its own, behind the gateway: versions live under names that are never used twice."""

import asyncio
import threading
from abc import abstractmethod
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from pipeline.backends.engines import fingerprint as fingerprints
from pipeline.backends.engines.chat import Completion, Request
from pipeline.backends.engines.interface import EngineError, Fingerprint, UpstreamError
from pipeline.backends.engines.upstream import Upstream
from pipeline.backends.engines.versioned import VersionedEngine
from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, UnavailableError
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.keys import key_of
from pipeline.lib.logs import logger
from pipeline.lib.records import Message

KEY = "NIGHTSCHOOL_ENGINE_KEY"  # the environment variable that holds the engine's API key, if it wants one


class RemoteEngine(VersionedEngine):
    """See `pipeline.backends.engines.interface.ServingEngine`."""

    name: str

    def __init__(self, settings: Settings, probe_pool: list[list[Message]]) -> None:
        """Find the engine and the name under which it offers the bare base.

        Raises:
            UnavailableError: it does not answer.
            ConfigurationError: it was started in a way that does not let it have adapters, or its key is none.
        """
        super().__init__(settings, probe_pool)
        self._reconciling = threading.Lock()
        self._background = asyncio.Semaphore(settings.engine.background)
        self.upstream = Upstream(settings.engine.url, key_of(KEY), settings.engine.timeout)
        try:
            self.base_name = settings.engine.base_name or self._first_model()
            self._require_adapters()
        except UpstreamError as error:
            self.upstream.close()
            raise UnavailableError(str(error), "start the engine, or correct engine.url") from error
        except ConfigurationError:
            self.upstream.close()
            raise

    @property
    def waiting(self) -> int:
        """Requests that have not been answered; the engine does not say which it has begun."""
        return self.running

    def room(self, messages: list[Message]) -> None:
        """Only the engine knows."""
        return

    def prepare(self, version: str) -> Fingerprint:
        """Fingerprint, and how far this engine's bare base is from its reference."""
        fingerprint = super().prepare(version)
        distances = [
            fingerprints.distance(self._answered(probe, BASE), reference)
            for probe, reference in zip(fingerprint.probes, fingerprint.references[BASE], strict=True)
        ]
        noise = sum(distances) / len(distances)
        if noise > fingerprints.LARGEST_NOISE:
            raise EngineError(
                f"the engine's base model is not {self.settings.model.base}: {noise:.2f} per token from it",
                "model.base and the engine must have the same weights",
            )
        return replace(fingerprint, noise=round(noise, 5))

    def reconcile(self) -> list[str]:
        """Load again what the engine has lost."""
        with self._reconciling:
            known = self._registered()
            lost = [version for version in self._loaded if version != BASE and self._name(version) not in known]
            for version in lost:
                logger.warning("the engine has lost %s; loading it again", version)
                self._add(generations.read(self.layout, version))
        return lost

    def close(self) -> None:
        """Wait for what was admitted, then close the connections; what comes later is refused."""
        with self._guard:
            self._closing = True
        for version in self._loaded:
            self.drain(version, 30)
        self.upstream.close()

    def _require_adapters(self) -> None:
        """Raises ConfigurationError when the engine cannot have adapters the way it runs now."""

    def _first_model(self) -> str:
        return str(next(iter(self._registered_in_order())))

    def _registered_in_order(self) -> list[str]:
        models = self.upstream.call("GET", "/v1/models", timeout=10)
        try:
            names = [str(each["id"]) for each in models["data"]]
        except (LookupError, TypeError) as error:
            raise UpstreamError("the engine's list of models is none", 502) from error
        if not names:
            raise UpstreamError("the engine offers no model", 502)
        return names

    def _registered(self) -> set[str]:
        """The names that the engine knows now."""
        return set(self._registered_in_order())

    def _name(self, version: str) -> str:
        """A version's name in the engine: it holds the hash, so it never means other tensors."""
        return self.base_name if version == BASE else f"{self.settings.model.name}-{self._unique(version)}"

    def _unique(self, version: str) -> str:
        sha256 = self._loaded.get(version) or generations.read(self.layout, version).sha256 or ""
        return f"{version}-{sha256[:8]}"

    def _begin(self, request: Request) -> None:
        self.upstream.start(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            async with nullcontext() if request.urgent else self._background:
                result = await self._ask(request)
        except BaseException as error:
            self._release(request)
            request.future.set_exception(error)
        else:
            result.alternatives = [each[: request.top_logprobs] for each in result.alternatives]
            self._release(request)
            request.future.set_result(result)

    async def _ask(self, request: Request) -> Completion:
        """Ask; a version that the engine does not know any more is loaded again, once."""
        body = self._body(request)
        try:
            return await self.upstream.chat(body, request.version, request.on_delta)
        except UpstreamError as error:
            if error.status != 404 or not await asyncio.to_thread(self.reconcile):
                raise
        return await self.upstream.chat(body, request.version, request.on_delta)

    def _body(self, request: Request) -> dict[str, Any]:
        """The client's own body, with the version pinned and what the gateway has decided."""
        body = {key: value for key, value in request.payload.items() if key not in ("n", "user", "stream_options")}
        body |= {
            "model": self._name(request.version),
            "messages": request.payload.get("messages") or request.messages,
            "max_tokens": request.max_tokens,
            "stream": request.on_delta is not None,
            "logprobs": True,
            "top_logprobs": request.top_logprobs,
        }
        body.pop("max_completion_tokens", None)
        for key, value in (("temperature", request.temperature), ("seed", request.seed)):
            if value is not None:
                body[key] = value
        if request.top_p < 1:
            body["top_p"] = request.top_p
        if request.on_delta is not None:
            body["stream_options"] = {"include_usage": True}
        return body

    @abstractmethod
    def _add(self, generation: Generation) -> None: ...
