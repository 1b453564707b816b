"""One `models test`: a model answers the questions of each capability, alone, and each of them within a time-out."""

import asyncio
import time
from statistics import median
from typing import Any

from pipeline.backends.providers.exam_questions import LEAST_CONTEXT, questions, without_thoughts
from pipeline.backends.providers.facts import Exam
from pipeline.backends.providers.interface import Answer, CountingProvider, Options, ProviderError
from pipeline.backends.providers.registry import CAPABILITIES, Model

FAST = 20.0  # tokens per second that are called fast: faster than people read
_SHORT = "Answer with the one word yes."
_LONG = "Write the numbers from 1 to 100 as digits, separated by single spaces."
_SHORT_TOKENS, _LONG_TOKENS = 512, 512  # room for thoughts
_SHORT_ANSWERS = 3


async def examine(provider: CountingProvider, model: Model, timeout: float) -> Exam:
    """Ask everything, one question at a time.

    Args:
        provider: who answers.
        model: what the settings say about it.
        timeout: most seconds for one answer.

    Raises:
        ProviderError: not even the first question was answered in time.
    """
    candidate = _Candidate(provider, timeout)
    await candidate.timed(_SHORT, _SHORT_TOKENS)  # a server may load the model first: that is not its speed
    speed, latency, fast = await _speed(candidate)
    results = {each: await _result(candidate, each, model.context) for each in CAPABILITIES if each != "fast_inference"}
    return Exam(time.time(), speed, latency, {**results, "fast_inference": fast})


class _Candidate:
    """A provider that has to answer in time."""

    def __init__(self, provider: CountingProvider, timeout: float) -> None:
        self._provider = provider
        self._timeout = timeout

    async def timed(self, prompt: str, max_tokens: int) -> tuple[Answer, float]:
        """The answer, and the seconds that it took."""
        begun = time.perf_counter()
        messages = [{"role": "user", "content": prompt}]
        answering = self._provider.answer_async(messages, Options(max_tokens=max_tokens, seed=0))
        try:
            answer = await asyncio.wait_for(answering, self._timeout)
        except TimeoutError as error:
            raise ProviderError(f"no answer from {self._provider.name} within {self._timeout:g} s") from error
        return answer, time.perf_counter() - begun


async def _speed(candidate: _Candidate) -> tuple[float | None, float | None, dict[str, Any]]:
    """Tokens per second, seconds of a short answer, and what that says about fast_inference."""
    latency = None
    try:
        times = [(await candidate.timed(_SHORT, _SHORT_TOKENS))[1] for _ in range(_SHORT_ANSWERS)]
        latency = median(times)
        answer, seconds = await candidate.timed(_LONG, _LONG_TOKENS)
    except ProviderError as error:
        return None, latency, {"not_run": str(error)}
    if not answer.tokens_out:
        return None, latency, {"not_run": "the server does not say how many tokens an answer has"}
    speed = answer.tokens_out / seconds
    return speed, latency, {"passed": int(speed >= FAST), "of": 1}


async def _result(candidate: _Candidate, capability: Any, context: int | None) -> dict[str, Any]:
    asked = questions(capability, context)
    if not asked:
        return {"not_run": f"the settings give it no context of {LEAST_CONTEXT} tokens or more"}
    passed = 0
    for question in asked:
        try:
            answer, _ = await candidate.timed(question.prompt, question.max_tokens)
        except ProviderError as error:
            return {"not_run": str(error)}
        passed += question.right(without_thoughts(answer.text))
    return {"passed": passed, "of": len(asked)}
