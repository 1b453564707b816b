"""A teacher that puts answers together: it makes a question simpler until the model can answer it, and goes back.

What the parts of questions mean is learned from verified answers (`pipeline.evolution.parts`) and kept in
`training_data/parts.json`. Its drafts are the student's own words in another order; the check decides about them as
about any other. What it cannot put together it leaves to the samples of the model behind it.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from pipeline.backends.teachers.interface import Draft, Teacher
from pipeline.evolution.history import Strategy
from pipeline.evolution.parts import Parts, Probe
from pipeline.lib.errors import NightschoolError
from pipeline.lib.files import read_json, write_json
from pipeline.lib.logs import logger
from pipeline.lib.records import Interaction, Message

# Questions about parts are asked in steps, these shares of them: what one shows decides what the next one asks. Where
# the first shows nothing, questions are not made of parts here.
_STEPS = (0.05, 0.2, 0.25, 0.25, 0.25)

Example = tuple[str, str]


class Student(Teacher, Protocol):
    """A model that drafts, and that can be asked anything else."""

    def answer(self, messages: list[Message]) -> str | None:
        """The likeliest answer; none: the question is refused.

        Raises:
            UnavailableError: the gateway does not answer.
        """


class LeastToMost:
    """See `pipeline.backends.teachers.interface.Teacher`."""

    def __init__(self, model: Student, path: Path, most: int, concurrency: int) -> None:
        """Read what is known about parts.

        Args:
            model: answers the simpler questions, and drafts where there are none.
            path: `parts.json`; the knowledge of earlier nights.
            most: drafts for one question that are put together.
            concurrency: questions at the same time.
        """
        self.name = model.name
        self.parts = _read(path)
        self._model, self._path, self._most, self._concurrency = model, path, most, concurrency
        self._answers: dict[str, str] = {}
        self._guard = threading.Lock()

    def study(self, examples: Sequence[Example], failures: Iterable[str], most: int, deadline: float) -> None:
        """Learn what parts mean.

        Args:
            examples: questions with answers that passed their check.
            failures: questions that are to be answered.
            most: questions to the model.
            deadline: seconds since 1970; nothing is begun later.

        Raises:
            UnavailableError: the gateway does not answer.
        """
        self.parts.survey((question for question, _ in examples), failures)
        with ThreadPoolExecutor(self._concurrency) as pool:
            for share in _STEPS:
                probes = self.parts.probes(examples, round(share * most))
                for probe, answer in zip(
                    probes, pool.map(lambda probe: self._asked(probe, deadline), probes), strict=True
                ):
                    if answer is not None:
                        self.parts.learn(probe, answer)
                if time.time() > deadline:
                    logger.warning("no more time to learn what parts of questions mean")
                    break
                if not self.parts.promising:
                    logger.info("%d questions showed nothing that parts of questions mean", len(probes))
                    break
        logger.info("what %d parts of questions mean is known", len(self.parts))
        write_json(self._path, {"parts": self.parts.to_json()})

    def _asked(self, probe: Probe, deadline: float) -> str | None:
        return self._model.answer(_chat(probe.question)) if time.time() < deadline else None

    def drafts(self, interaction: Interaction, count: int, first: int, how: Strategy) -> list[Draft]:
        """See Teacher: first what can be put together, then samples."""
        composed = self._composed(interaction)
        drafted = composed[first : first + count]
        if missing := count - len(drafted):
            drafted += self._model.drafts(interaction, missing, max(0, first - len(composed)), how)
        return drafted

    def _composed(self, interaction: Interaction) -> list[Draft]:
        """Those that worked out; the same whenever they are asked for."""
        *before, last = interaction.messages
        if last["role"] != "user":
            return []
        drafts = []
        for way in self.parts.simpler(last["content"], self._most, int(interaction.id[:8], 16)):
            said = self._answer([*before, {"role": "user", "content": way.question}])
            answer = None if said is None else way.answer(said)
            if answer is not None:
                drafts.append(Draft(answer, f"put together from the answer to: {way.question}"))
        return drafts

    def _answer(self, messages: list[Message]) -> str | None:
        """Asked once a night: many questions have the same simpler one."""
        key = repr(messages)
        with self._guard:
            known = self._answers.get(key)
        if known is None:
            known = self._model.answer(messages)
            if known is not None:
                with self._guard:
                    self._answers[key] = known
        return known


def _chat(question: str) -> list[Message]:
    return [{"role": "user", "content": question}]


def _read(path: Path) -> Parts:
    """What is known; a file that cannot be used is begun anew, for it is only experience."""
    if not path.is_file():
        return Parts()
    try:
        return Parts.from_json(read_json(path)["parts"])
    except (NightschoolError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be used and is begun anew: %s", path, error)
        return Parts()
