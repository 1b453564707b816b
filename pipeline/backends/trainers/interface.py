"""A trainer turns rows into adapter files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.backends.trainers.presets import Recipe


@dataclass(frozen=True, slots=True)
class Job:
    """What to train.

    `rows` are those of the method's table (`pipeline.lib.formats`), each with its `interaction_id`; `work` keeps
    checkpoints between a kill and the next try; `output` receives the adapter files; `parent` is the adapter to
    continue, if the recipe says so; `new` are the rewritten interactions that it has yet to learn,
    `known` those that it was trained on, where that matters.
    """

    base: str
    revision: str | None
    quantization: str
    recipe: Recipe
    rows: list[dict[str, Any]]
    work: Path
    output: Path
    parent: Path | None
    seed: int
    save_every: int
    show_progress: bool
    new: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Result:
    """What was trained: the manifest's `metrics`, the curve, and what the adapter was trained with.

    `learned` are the interactions whose rows were trained on.
    """

    metrics: dict[str, Any]
    curve: list[dict[str, float]]
    versions: dict[str, str]
    learned: set[str]


class Trainer(Protocol):
    """One way to train."""

    def train(self, job: Job) -> Result:
        """Train and write the adapter files.

        Raises:
            NightschoolError: nothing that may be called trained came out.
        """
