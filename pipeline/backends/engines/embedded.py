"""The embedded engine: transformers + peft in this process, one worker thread that owns the model.

Requests are admitted from any thread. Whoever admits pins the version; the worker takes what waits for one version as
one micro-batch, and does loading and unloading between batches. Activation is one assignment. (peft can also mix
versions in a batch, through `adapter_names`; LOG.md says why we do not.)
"""

import copy
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pipeline.backends.engines.chat import Completion, Request
from pipeline.backends.engines.decoding import decode, prompt
from pipeline.backends.engines.interface import EngineError, NotServingError
from pipeline.backends.engines.versioned import VersionedEngine
from pipeline.lib import generations
from pipeline.lib.base_model import as_configured, how_to_get, precision
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.logs import logger
from pipeline.lib.processor import keep_freed_memory, math_threads
from pipeline.lib.quiet import quiet_libraries
from pipeline.lib.records import Message

_STOP = object()
_GATHER_SECONDS = 0.03


class EmbeddedEngine(VersionedEngine):
    """See `pipeline.backends.engines.interface.ServingEngine`."""

    name = "embedded"

    def __init__(self, settings: Settings, probe_pool: list[list[Message]]) -> None:
        """Load the base model (seconds) and start the worker.

        Args:
            settings: names the base model.
            probe_pool: chats from which fingerprint probes are chosen.

        Raises:
            ConfigurationError: the base model is missing.
        """
        super().__init__(settings, probe_pool)
        keep_freed_memory()
        self._tokenizer, self._model = _load_base(settings)
        # A fast tokenizer keeps its padding as state: the worker's, which pads, must not be shared with other threads.
        self._counting_tokenizer = copy.deepcopy(self._tokenizer)
        self._longest_token = max(map(len, self._tokenizer.get_vocab()), default=1)  # characters
        self.quantization = settings.model.quantization
        self._has_adapters = False
        self._queue: queue.Queue[Any] = queue.Queue()
        self._worker = threading.Thread(target=self._work, name="model-worker", daemon=True)
        self._worker.start()

    @property
    def waiting(self) -> int:
        """Requests admitted but not begun."""
        return self._queue.qsize()

    def room(self, messages: list[Message]) -> int:
        """Tokens left for an answer to this chat. One thread at a time may ask.

        Raises:
            EngineError: none are.
        """
        text = prompt(self._counting_tokenizer, messages)
        longest = int(getattr(self._model.config, "max_position_embeddings", 4096))
        if len(text) > longest * self._longest_token:  # counting would take seconds
            raise EngineError(f"the prompt has {len(text)} characters, the model reads {longest} tokens")
        tokens = len(self._counting_tokenizer(text, add_special_tokens=False)["input_ids"])
        if tokens >= longest:
            raise EngineError(f"the prompt has {tokens} tokens, the model reads {longest}")
        return longest - tokens

    def close(self) -> None:
        """Answer what waits, then end the worker; what comes later is refused."""
        with self._guard:
            self._closing = True
        self._queue.put(_STOP)
        self._worker.join(timeout=60)
        while not self._queue.empty():
            if isinstance(late := self._queue.get(), Request):
                self._release(late)
                late.future.set_exception(NotServingError("the engine is ending"))

    def _begin(self, request: Request) -> None:
        self._queue.put(request)

    def _add(self, generation: Generation) -> None:
        self._between_batches(lambda: self._load_adapter(generation.id, generation.folder.resolve()))

    def _remove(self, version: str) -> None:
        self._between_batches(lambda: self._forget(version))

    def _between_batches(self, job: Callable[[], None]) -> None:
        """Run something on the worker thread and wait for it."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                job()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        self._queue.put(run)
        done.result()

    def _work(self) -> None:
        waiting: deque[Request] = deque()
        stopping = False
        answered = 0
        while waiting or not stopping:
            stopping |= self._collect(waiting, answered)
            if waiting:
                batch = self._next_batch(waiting)
                self._answer(batch)
                answered = len(batch)

    def _collect(self, waiting: "deque[Request]", expected: int) -> bool:
        """Move what was admitted into `waiting`, do the jobs among it; blocks while there is nothing. True: stop.

        Those who were answered together ask again nearly together: it waits a moment for as many (`expected`), or the
        first to come would have a batch of its own and all others wait for that.
        """
        item = None if waiting else self._queue.get()
        deadline = time.monotonic() + (_GATHER_SECONDS if expected > 1 else 0)
        while True:
            if item is _STOP:
                return True
            if isinstance(item, Request):
                waiting.append(item)
            elif item is not None:
                item()
            left = deadline - time.monotonic() if len(waiting) < expected else 0
            try:
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                return False

    def _next_batch(self, waiting: "deque[Request]") -> list[Request]:
        """The longest waiting request, and those behind it that are pinned to the same version.

        People first, and in a batch of their own: a batch takes as long as its longest answer, and a wide one longer.
        """
        first = next((request for request in waiting if request.urgent), waiting[0])
        batch: list[Request] = []
        others: list[Request] = []
        while waiting and len(batch) < self.settings.server.max_batch:
            request = waiting.popleft()
            together = (request.version, request.urgent) == (first.version, first.urgent)
            (batch if together else others).append(request)
        waiting.extendleft(reversed(others))
        return batch

    def _answer(self, batch: list[Request]) -> None:
        import torch

        torch.set_num_threads(math_threads(self.settings.server.threads, len(batch)))
        try:
            with self._as_version(batch[0].version):
                results: list[Completion | BaseException] = [*decode(self._model, self._tokenizer, batch)]
        except Exception as error:  # one bad batch must not end the worker
            logger.exception("a micro-batch failed")
            results = [error] * len(batch)
        self._release(*batch)
        for request, result in zip(batch, results, strict=True):
            if isinstance(result, Completion):
                request.future.set_result(result)
            else:
                request.future.set_exception(result)

    def _as_version(self, version: str) -> AbstractContextManager[None]:
        """Only the worker calls this, between batches: nothing else ever changes the active adapter."""
        if version != BASE:
            self._model.set_adapter(version)
            return nullcontext()
        disabled: AbstractContextManager[None] = self._model.disable_adapter() if self._has_adapters else nullcontext()
        return disabled

    def _load_adapter(self, version: str, folder: Path) -> None:
        from peft import LoraConfig, PeftModelForCausalLM, set_peft_model_state_dict
        from safetensors.torch import load_file

        config = LoraConfig.from_pretrained(folder)
        config.inference_mode = True
        if not self._has_adapters:
            self._model = PeftModelForCausalLM(self._model, config, adapter_name=version)
            self._has_adapters = True
        else:
            self._model.add_adapter(version, config)
        try:
            result = set_peft_model_state_dict(
                self._model, load_file(folder / generations.ADAPTER_FILE), adapter_name=version
            )
            missing = [key for key in result.missing_keys if "lora_" in key and f".{version}." in key]
            if result.unexpected_keys or missing:
                names = [*result.unexpected_keys, *missing]
                raise EngineError(f"adapter {version}: {len(names)} tensors find no place, first {names[0]}")
        except BaseException:
            self._forget(version)
            raise
        self._model.eval()

    def _forget(self, version: str) -> None:
        """Without its last adapter a peft model cannot even answer as the base, so it is taken off then."""
        if set(self._model.peft_config) == {version}:
            self._model = self._model.unload()
            self._has_adapters = False
        else:
            self._model.delete_adapter(version)


def _load_base(settings: Settings) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_libraries()

    source = {"revision": settings.model.revision} if settings.model.revision else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.base_folder, padding_side="left", **source)
        options = {**source, **precision(settings.model.quantization)}
        model = AutoModelForCausalLM.from_pretrained(settings.base_folder, **options)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"no usable base model at {settings.base_folder}: {str(error).splitlines()[0]}",
            how_to_get(settings.base_folder),
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, as_configured(model).eval()
