"""The embedded engine: transformers + peft in this process, one worker thread that owns the model.

Requests are admitted from any thread. Whoever admits pins the version; the worker takes what waits for one version as
one micro-batch, and does loading and unloading between batches. Activation is one assignment. (peft can also mix
versions in a batch, through `adapter_names`; LOG.md says why we do not.)
"""

import copy
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pipeline.backends.engines import fingerprint as fingerprints
from pipeline.backends.engines import reference
from pipeline.backends.engines.decoding import Completion, Request, decode, prompt
from pipeline.backends.engines.interface import Answered, EngineError, Fingerprint, Proof
from pipeline.lib import generations, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.logs import logger
from pipeline.lib.processor import keep_freed_memory, math_threads
from pipeline.lib.quiet import quiet_libraries
from pipeline.lib.records import Message

_STOP = object()
_LEARNED_PROBES = 12  # of a version's own training questions, among which fingerprint probes are looked for


class EmbeddedEngine:
    """See `pipeline.backends.engines.interface.Engine`."""

    name = "embedded"

    def __init__(self, settings: Settings, probe_pool: list[list[Message]]) -> None:
        """Load the base model (seconds) and start the worker.

        Args:
            settings: names the base model.
            probe_pool: chats from which fingerprint probes are chosen.

        Raises:
            ConfigurationError: the base model is missing.
        """
        self.settings = settings
        self.layout = settings.layout
        self.probe_pool = probe_pool
        keep_freed_memory()
        self._tokenizer, self._model = _load_base(settings)
        # A fast tokenizer keeps its padding as state: the worker's, which pads, must not be shared with other threads.
        self._counting_tokenizer = copy.deepcopy(self._tokenizer)
        self._has_adapters = False
        self._loaded: dict[str, str | None] = {BASE: None}
        self._active = BASE
        self._guard = threading.Lock()
        self._running: Counter[str] = Counter()
        self._queue: queue.Queue[Any] = queue.Queue()
        self._worker = threading.Thread(target=self._work, name="model-worker", daemon=True)
        self._worker.start()

    @property
    def active(self) -> str:
        """The version that the public name means."""
        return self._active

    @property
    def waiting(self) -> int:
        """Requests admitted but not begun."""
        return self._queue.qsize()

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and answer together."""
        return int(getattr(self._model.config, "max_position_embeddings", 4096))

    def versions(self) -> dict[str, str | None]:
        """What is loaded: version → sha256 of its tensors."""
        return dict(self._loaded)

    def count_tokens(self, messages: list[Message]) -> int:
        """The length of the prompt in tokens."""
        text = prompt(self._counting_tokenizer, messages)
        return len(self._counting_tokenizer(text, add_special_tokens=False)["input_ids"])

    def admit(self, request: Request) -> "Future[Completion]":
        """Queue a request; an empty version is pinned to the active one, now.

        Raises:
            EngineError: the version is not loaded.
        """
        with self._guard:
            request.version = request.version or self._active
            if request.version not in self._loaded:
                raise EngineError(f"version {request.version!r} is not loaded")
            self._running[request.version] += 1
        self._queue.put(request)
        return request.future

    def prepare(self, version: str) -> Fingerprint:
        """Check the files and fingerprint base, active and new version; kept in the generation's folder."""
        generation = generations.read(self.layout, version)
        generation.verify_files()
        adapters: dict[str, str | None] = {BASE: None}
        for each in {self._active, version} - {BASE}:
            adapters[each] = str(self.layout.generation(each).resolve())
        pool = [*self.probe_pool, *self._learned_questions(generation)]
        return reference.compute(self.settings.base_folder, self.settings.model.revision, adapters, pool)

    def load(self, version: str) -> None:
        """Load an adapter beside the others; every tensor must find its place."""
        generation = generations.read(self.layout, version)
        if version not in self._loaded:
            generation.verify_files()
            self._between_batches(lambda: self._load_adapter(version, generation.folder.resolve()))
            with self._guard:
                self._loaded[version] = generation.sha256

    def verify(self, version: str, fingerprint: Fingerprint, public: bool = False) -> Proof:
        """Ask the worker the probes, under the version's own name or whatever is active."""

        def ask(chat: list[Message]) -> Answered:
            request = Request(chat, "" if public else version, reference.MOST_TOKENS, temperature=0.0)
            completion = self.admit(request).result(timeout=60)
            return Answered(completion.tokens, completion.logprobs)

        return fingerprints.prove(version, fingerprint, ask)

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
            known = self._loaded.pop(version, None)
        if known is not None:
            self._between_batches(lambda: self._model.delete_adapter(version))

    def close(self) -> None:
        """Answer what waits, then end the worker."""
        self._queue.put(_STOP)
        self._worker.join(timeout=60)

    def _learned_questions(self, generation: Generation) -> list[list[Message]]:
        """Some of the questions that the version was trained on: there, if anywhere, it answers differently."""
        path = self.layout.home / str(generation.manifest["dataset"]["path"]) / "sft.jsonl"
        rows = list(jsonl.read(path))
        return [list(row["messages"][:-1]) for row in rows[:: max(1, len(rows) // _LEARNED_PROBES)]][:_LEARNED_PROBES]

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
        while waiting or not stopping:
            stopping |= self._collect(waiting)
            if waiting:
                self._answer(self._next_batch(waiting))

    def _collect(self, waiting: "deque[Request]") -> bool:
        """Move what was admitted into `waiting`, do the jobs among it; blocks while there is nothing. True: stop."""
        item = None if waiting else self._queue.get()
        while True:
            if item is _STOP:
                return True
            if isinstance(item, Request):
                waiting.append(item)
            elif item is not None:
                item()
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return False

    def _next_batch(self, waiting: "deque[Request]") -> list[Request]:
        """The longest waiting request, and those behind it that are pinned to the same version."""
        version = waiting[0].version
        batch: list[Request] = []
        others: list[Request] = []
        while waiting and len(batch) < self.settings.server.max_batch:
            request = waiting.popleft()
            (batch if request.version == version else others).append(request)
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
        with self._guard:
            self._running.subtract(request.version for request in batch)
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
            self._model.delete_adapter(version)
            raise
        self._model.eval()


def _load_base(settings: Settings) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_libraries()

    source = {"revision": settings.model.revision} if settings.model.revision else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.base_folder, padding_side="left", **source)
        options = _quantized() if settings.model.quantization == "nf4" else {"dtype": torch.float32}
        model = AutoModelForCausalLM.from_pretrained(settings.base_folder, **source, **options)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"no usable base model at {settings.base_folder}: {str(error).splitlines()[0]}",
            "`nightschool starter build` makes the default one; model.base names another",
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.eval()


def _quantized() -> dict[str, Any]:
    """What is served is what was gated: the same NF4 as in training."""
    import torch
    from transformers import BitsAndBytesConfig

    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
        )
    }
