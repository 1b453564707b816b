"""Kahneman-Tversky optimization: make good answers likelier and bad ones less so, without pairs (`unpaired.jsonl`)."""

from collections import Counter
from typing import Any

from pipeline.backends.trainers.interface import Job
from pipeline.backends.trainers.lora import LoraTrainer, Row
from pipeline.lib.errors import NightschoolError


class KtoTrainer(LoraTrainer):
    """With trl's KTOTrainer; the reference is the base, with the adapter disabled.

    How far the adapter has drifted is estimated from the answers to the other questions of a batch: there have to be
    two, and the batches stay the same from epoch to epoch, so the rows are mixed once.
    """

    smallest_batch = 2

    def prepare(self, row: Row) -> Row | None:
        """An answer with its label; to say nothing is never good."""
        if row["label"] and not row["completion"][0]["content"].strip():
            return None
        return {name: row[name] for name in ("prompt", "completion", "label")}

    def build(self, job: Job, arguments: dict[str, Any], parts: dict[str, Any]) -> Any:
        """The rarer label counts for as much more as it is rarer.

        Raises:
            NightschoolError: all rows that can be used have the same label.
        """
        from trl import KTOConfig, KTOTrainer

        labels = Counter(parts["train_dataset"]["label"])
        if len(labels) < 2:
            raise NightschoolError("good and bad answers are needed, and only one kind can be used")
        weights = {
            "desirable_weight": max(1.0, round(labels[False] / labels[True], 2)),
            "undesirable_weight": max(1.0, round(labels[True] / labels[False], 2)),
        }
        mixed = parts["train_dataset"].shuffle(seed=job.seed)
        return KTOTrainer(
            args=KTOConfig(beta=job.recipe.beta, **weights, **arguments), **{**parts, "train_dataset": mixed}
        )

    def supervised_tokens(self, row: Row, max_length: int) -> int:
        """Tokens of the answer, as far as there is room for it."""
        return min(max_length - len(row["prompt_ids"]), len(row["completion_ids"]))
