"""Asks versions the canary's questions, through the gateway as everybody else.

What a version once answered greedily it would answer again: answers are kept in its folder (`answers.jsonl`), by base,
tensors, question and decoding.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.gateway_client import GatewayClient, RefusedChatError
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.lib import jsonl
from pipeline.lib.errors import UnavailableError
from pipeline.lib.generations import Generation
from pipeline.lib.questions import JUDGED, Question
from pipeline.lib.records import content_id

ANSWERS = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version said, and whether it was right.

    `passed` is none where only a judge can tell, or (with an `error`) where the check could not run.
    """

    text: str
    passed: bool | None
    error: str | None


class Examinee:
    """One version under examination."""

    def __init__(self, client: GatewayClient, generation: Generation, base_sha256: str, max_tokens: int) -> None:
        self.client = client
        self.generation = generation
        self._decoding = {"temperature": 0, "max_tokens": max_tokens}
        self._identity = [base_sha256, generation.sha256]
        self._path = generation.folder / ANSWERS
        self._known = {str(row["key"]): str(row["text"]) for row in jsonl.read(self._path)}
        self._guard = threading.Lock()

    def answer_all(self, asked: Sequence[Question], concurrency: int) -> list[Answer]:
        """Greedy answers, in the order of the questions."""
        with ThreadPoolExecutor(concurrency) as pool:
            return list(pool.map(self.answer, asked))

    def answer(self, question: Question) -> Answer:
        """The greedy answer to one question, asked only if it is not known; wrong where this version fails on it."""
        key = content_id(self._identity, question.messages, self._decoding)
        text = self._known.get(key)
        if text is None:
            try:
                text = self._ask(question)["choices"][0]["message"]["content"]
            except (UnavailableError, RefusedChatError) as error:
                self.client.health()  # raises when it is the gateway that is gone, not this version that fails
                return Answer("", False, str(error))
            with self._guard:
                self._known[key] = text
        if question.check["type"] == JUDGED:
            return Answer(text, None, None)
        try:
            outcome = checks.judge(text, question.check, plugins=question.ours)
        except SandboxError as error:
            return Answer(text, None, str(error))
        return Answer(text, outcome.passed is True, outcome.error)

    def complete(self, text: str, stops: Sequence[str], max_tokens: int) -> str:
        """The greedy answer to a prompt that is no question of ours; empty when this version fails on it."""
        try:
            answer = self.client.chat(
                [{"role": "user", "content": text}],
                "canary",
                self.generation.id,
                temperature=0,
                max_tokens=max_tokens,
                **({"stop": list(stops)} if stops else {}),
            )
        except (UnavailableError, RefusedChatError):
            self.client.health()  # see answer()
            return ""
        return str(answer["choices"][0]["message"]["content"])

    def seconds_per_token(self, question: Question) -> float | None:
        """Ask once more, alone, and measure; nothing is taken from memory. None: this version fails on the question."""
        clock = time.monotonic()
        try:
            usage = self._ask(question)["usage"]
        except (UnavailableError, RefusedChatError):
            self.client.health()  # see answer()
            return None
        return (time.monotonic() - clock) / max(1, int(usage["completion_tokens"]))

    def remember(self) -> None:
        """Keep the answers for later nights."""
        jsonl.write(self._path, ({"key": key, "text": text} for key, text in sorted(self._known.items())))

    def _ask(self, question: Question) -> dict[str, Any]:
        return self.client.chat(question.messages, "canary", self.generation.id, **self._decoding)
