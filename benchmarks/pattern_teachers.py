"""What it brings to know which teacher solves what: simulated teachers, and the council that asks them.

Each teacher has a chance of its own for each category (two drafts in three … one in a hundred is right), which nobody
knows; failures of one category differ among themselves. All else is what a harvest does: turns, votes, history. So a
failure is solved when its answer is confirmed: by the same words, or by another teacher.
"""

import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pipeline.backends.providers.ledger import Budget, Ledger
from pipeline.backends.teachers.choice import Seats
from pipeline.backends.teachers.deciding import decisions
from pipeline.backends.teachers.interface import Draft
from pipeline.backends.teachers.judging import Bench
from pipeline.backends.teachers.providers import ProviderTeacher
from pipeline.backends.teachers.scoring import Scorer
from pipeline.backends.teachers.several import SeveralTeachers
from pipeline.evolution.categories import CATEGORIES
from pipeline.evolution.history import Strategy
from pipeline.evolution.steering import Steering
from pipeline.lib.config import Settings
from pipeline.lib.problems import Problems
from pipeline.lib.records import Failure, Interaction

TEACHERS = ("teacher a", "teacher b", "teacher c")
NIGHTS, FAILURES = 4, 150
_BEGIN, _DAY = 1e9, 24 * 3600.0  # seconds since 1970, seconds
_ALIKE = 8.0  # how much failures of one category are alike (the sum of the parameters of a Beta distribution)
_VERDICT = {"signal": "failed", "weight": 0.4, "agreeing": [], "overruled": []}


class Simulated(ProviderTeacher):
    """A teacher whose luck depends on the failure and the draft's number; it repeats a share of its right answers."""

    def __init__(self, name: str, seed: int, repeats: float) -> None:
        self.name, self._seed, self._repeats = name, seed, repeats
        source = random.Random(f"{name} {seed}")
        self._chances = {category: 10 ** source.uniform(-2, -0.2) for category in CATEGORIES}

    @property
    def resting(self) -> bool:
        """Never."""
        return False

    def healthy(self) -> bool:
        """Always."""
        return True

    def draft(self, interaction: Interaction, number: int, how: Strategy) -> Draft:
        """A right or a wrong one."""
        mean = self._chances[str(interaction.error).split()[2]]
        chance = random.Random(f"{self.name} {interaction.id}").betavariate(_ALIKE * mean, _ALIKE * (1 - mean))
        luck = random.Random(f"{self.name} {interaction.id} {number}")
        if luck.random() >= chance:
            return Draft("no idea", teacher=self.name)
        words = "as ever" if luck.random() < self._repeats else f"in words of {luck.random()}"
        return Draft(f"right, {words}", teacher=self.name)


def gain(seed: int, repeats: float) -> tuple[float, float]:
    """What is solved when past nights choose whom to ask, over what is solved in turn; and the same for drafts.

    Args:
        seed: of the teachers and their luck.
        repeats: the share of a teacher's right answers that have the same words.
    """
    (solved, drafts), (equal_solved, equal_drafts) = nights(seed, repeats, True), nights(seed, repeats, False)
    return solved / equal_solved, drafts / equal_drafts


def nights(seed: int, repeats: float, chosen: bool) -> tuple[int, int]:
    """Some nights; what all but the first solved, and their drafts."""
    settings = Settings(harvest={"concurrency": 1})
    how = settings.harvest
    members = [Simulated(name, seed, repeats) for name in TEACHERS]
    default = Strategy(how.temperature, how.top_p, how.samples)
    scorer, ledger = Scorer("auto", Bench([], [], 2.0), 2), Ledger(None, "20010909", Budget())
    seats = Seats(SeveralTeachers(members, together=True), scorer, ledger, default, together=TEACHERS)
    solved = drafts = 0
    with tempfile.TemporaryDirectory() as folder:
        for night in range(NIGHTS):
            failures = [_failure(f"{seed} {night} {number}") for number in range(FAILURES)]
            asked, now = [each.question for each in failures], _BEGIN + night * _DAY
            names = TEACHERS if chosen else ()
            advice = Steering(Path(folder) / "patterns.jsonl", asked, default, now, seed, Problems(), names)
            steered = replace(seats, steering=advice)
            for failure, decision in decisions(failures, steered, settings, time.time() + 3600):
                done = decision.quality_score >= how.quality_threshold
                error, votes = failure.error, decision.votes
                advice.record(failure.question, failure.id, error, seats.teacher.name, votes, done, None, decision.by)
                solved, drafts = solved + (night > 0) * done, drafts + (night > 0) * votes["cast"]
    ledger.close()
    return solved, drafts


def _failure(identity: str) -> Failure:
    category = random.Random(identity).choice(CATEGORIES)
    return Failure.model_validate(
        {
            "id": identity,
            "source": "simulated",
            "at": _BEGIN,
            "messages": [{"role": "user", "content": "What is right?"}],
            "answer": "no idea",
            "error": f"line 1: {category} error: so it is",
            "check": {"type": "text", "contains": "right"},
            "verdict": _VERDICT,
        }
    )
