"""Batched decoding with transformers: every row of a micro-batch has its own temperature, length and stops."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.cache_utils import DynamicLayer

from pipeline.backends.engines.chat import Completion, Request
from pipeline.backends.engines.interface import EngineError
from pipeline.lib.records import Message


class _Sampler(LogitsProcessor):  # type: ignore[misc]
    """Chooses each row's next token itself and leaves transformers no choice but to take it.

    So greedy and random rows, each with its own seed, live in one batch.
    """

    def __init__(self, requests: list[Request], tokenizer: Any, stops: set[int], default_temperature: float) -> None:
        self.requests = requests
        self.tokenizer = tokenizer
        self.stops = stops
        temperatures = [default_temperature if r.temperature is None else r.temperature for r in requests]
        self.temperatures = torch.tensor(temperatures).unsqueeze(1)
        self.top_p = torch.tensor([r.top_p for r in requests]).unsqueeze(1)
        longest = max(r.max_tokens for r in requests)
        self.uniform = torch.stack([_uniform(r.seed, longest) for r in requests])
        self.steps = 0
        self.ids: list[list[int]] = [[] for _ in requests]
        self.logprobs: list[list[float]] = [[] for _ in requests]
        self.alternatives: list[list[list[tuple[str, float]]]] = [[] for _ in requests]
        self.texts = ["" for _ in requests]
        self.reasons: list[str | None] = [None for _ in requests]
        self.first_token_at = 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.float()
        logprobs = torch.log_softmax(scores, dim=-1)
        picked = self._draw(scores)
        self.steps += 1
        self.first_token_at = self.first_token_at or time.monotonic()
        picked_logprobs = logprobs.gather(1, picked.unsqueeze(1)).squeeze(1).tolist()
        for row, token in enumerate(picked.tolist()):
            if self.reasons[row] is None:
                self._take(row, token, picked_logprobs[row], logprobs)
        forced = torch.full_like(scores, -torch.inf)
        return forced.scatter_(1, picked.unsqueeze(1), 0.0)

    def _draw(self, scores: torch.Tensor) -> torch.Tensor:
        """Each row's next token: the likeliest, or one drawn among the likeliest that together reach `top_p`."""
        hot = self.temperatures > 0
        if not bool(hot.any()):
            return scores.argmax(dim=-1)
        ordered, order = (scores / torch.where(hot, self.temperatures, 1.0)).sort(dim=-1, descending=True)
        reached = ordered.softmax(dim=-1).cumsum(dim=-1)
        size = (reached < self.top_p).sum(dim=-1, keepdim=True).clamp(max=scores.shape[1] - 1)
        at = self.uniform[:, self.steps : self.steps + 1] * reached.gather(1, size)
        place = (reached <= at).sum(dim=-1, keepdim=True).minimum(size)
        return torch.where(hot.squeeze(1), order.gather(1, place).squeeze(1), scores.argmax(dim=-1))

    def _take(self, row: int, token: int, logprob: float, logprobs: torch.Tensor) -> None:
        request = self.requests[row]
        if token in self.stops:
            self.reasons[row] = "stop"
            if request.stop or request.on_delta:
                self._emit(row)  # what was held back
            return
        self.ids[row].append(token)
        self.logprobs[row].append(logprob)
        if request.top_logprobs:
            values, tokens = logprobs[row].topk(min(request.top_logprobs, logprobs.shape[1]))
            pairs = zip(tokens.tolist(), values.tolist(), strict=True)
            self.alternatives[row].append([(self.tokenizer.decode([each]), value) for each, value in pairs])
        if len(self.ids[row]) >= request.max_tokens:
            self.reasons[row] = "length"
        if request.stop or request.on_delta:
            self._emit(row)

    def _emit(self, row: int) -> None:
        """Decode what is new; a stop text ends the row, half characters and what may become a stop text wait."""
        request = self.requests[row]
        text = self.tokenizer.decode(self.ids[row], skip_special_tokens=True)
        found = [position for stop in request.stop if (position := text.find(stop)) >= 0]
        if found:
            text, self.reasons[row] = text[: min(found)], "stop"
        elif self.reasons[row] is None:
            if text.endswith("\ufffd"):
                return
            text = text[: len(text) - _begun(text, request.stop)]
        new, self.texts[row] = text[len(self.texts[row]) :], text
        if request.on_delta and new:
            request.on_delta({"content": new})

    def completion(self, row: int, prompt_tokens: int) -> Completion:
        """What the row came to."""
        request = self.requests[row]
        text = self.texts[row]
        if not (request.stop or request.on_delta):
            text = self.tokenizer.decode(self.ids[row], skip_special_tokens=True)
        return Completion(
            text,
            self.reasons[row] or "length",
            prompt_tokens,
            [self.tokenizer.decode([token]) for token in self.ids[row]],
            self.logprobs[row],
            self.alternatives[row],
            request.version,
            self.first_token_at,
        )


def _begun(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of a text may be the beginning of a stop text."""
    longest = min(len(text), max(map(len, stops), default=1) - 1)
    return next((n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in stops)), 0)


def _uniform(seed: int | None, count: int) -> torch.Tensor:
    """The random numbers in [0, 1) of one answer, one a token.

    A seed that PyTorch would refuse is taken modulo 2^64: the others of the batch must not suffer from it.
    """
    return torch.rand(count, generator=None if seed is None else torch.Generator().manual_seed(seed % 2**64))


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, (rows, heads, tokens, size), with room for the tokens to come.

    The parent copies everything for each token: for many rows that costs more than all the rest of decoding.
    """

    _ROOM = 64  # tokens

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self.rooms = [self._room(key_states, 0), self._room(value_states, 0)]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = start + key_states.shape[-2]
        if end > self.rooms[0].shape[-2]:
            old, self.rooms = self.rooms, [self._room(key_states, start), self._room(value_states, start)]
            for room, before in zip(self.rooms, old, strict=True):
                room[..., :start, :] = before[..., :start, :]
        for room, states in zip(self.rooms, (key_states, value_states), strict=True):
            room[..., start:end, :] = states
        self.keys, self.values = (room[..., :end, :] for room in self.rooms)
        return self.keys, self.values

    def _room(self, states: torch.Tensor, start: int) -> torch.Tensor:
        rows, heads, tokens, size = states.shape
        return states.new_empty(rows, heads, start + tokens + self._ROOM, size)


def _cache(config: Any) -> DynamicCache:
    """A cache whose full-attention layers have room; what slides or is shared stays as transformers makes it."""
    cache = DynamicCache(config=config)
    cache.layers = [_RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class _Finished(StoppingCriteria):  # type: ignore[misc]
    """Tells transformers which rows the sampler has ended."""

    def __init__(self, sampler: _Sampler) -> None:
        self.sampler = sampler

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.tensor([reason is not None for reason in self.sampler.reasons], device=input_ids.device)


def decode(model: Any, tokenizer: Any, requests: list[Request]) -> list[Completion]:
    """Answer a micro-batch.

    Args:
        model: the base model, or the PEFT model around it.
        tokenizer: with a chat template; pads on the left.
        requests: one a row, all for the version that the model is set to.
    """
    texts = [prompt(tokenizer, request.messages) for request in requests]
    encoded = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    lengths = encoded["attention_mask"].sum(dim=1).tolist()
    configured = model.generation_config
    stops = configured.eos_token_id if configured.eos_token_id is not None else tokenizer.eos_token_id
    stops = set(stops) if isinstance(stops, list) else {stops}
    default_temperature = float(configured.temperature or 1.0) if configured.do_sample else 0.0
    sampler = _Sampler(requests, tokenizer, stops, default_temperature)
    with torch.inference_mode():
        model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=max(request.max_tokens for request in requests),
                eos_token_id=sorted(stops),
                pad_token_id=tokenizer.pad_token_id,
            ),
            cache=_cache(model.config),
            logits_processor=LogitsProcessorList([sampler]),
            stopping_criteria=StoppingCriteriaList([_Finished(sampler)]),
        )
    return [sampler.completion(row, int(lengths[row])) for row in range(len(requests))]


def prompt(tokenizer: Any, messages: list[Message]) -> str:
    """The chat as the model reads it.

    Raises:
        EngineError: the template refuses it (an unknown role, say).
    """
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # templates raise whatever they like
        raise EngineError(f"the chat template refuses these messages: {error}") from error
