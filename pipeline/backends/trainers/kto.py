"""Kahneman-Tversky optimization: make good answers likelier and bad ones less so, without pairs (`unpaired.jsonl`)."""

from typing import Any

from pipeline.backends.trainers.interface import Job
from pipeline.backends.trainers.lora import LoraTrainer, Row
from pipeline.lib.errors import NightschoolError

# The weight of a bad answer against 1 of a good one. Most of a bad answer is like a good one: with weights that make
# both kinds count the same, the starter unlearned that too (30 % of the hold-out right instead of 55 %).
_BAD = 0.3


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
        """`beta`: how dearly it pays for leaving the reference.

        Raises:
            NightschoolError: all rows that can be used have the same label.
        """
        from trl import KTOConfig, KTOTrainer

        if len(set(parts["train_dataset"]["label"])) < 2:
            raise NightschoolError("good and bad answers are needed, and only one kind can be used")
        configuration = KTOConfig(beta=job.recipe.beta, undesirable_weight=_BAD, **arguments)
        mixed = parts["train_dataset"].shuffle(seed=job.seed)
        return KTOTrainer(args=configuration, **{**parts, "train_dataset": mixed})

    def supervised_tokens(self, row: Row, max_length: int) -> int:
        """Tokens of the answer, as far as there is room for it."""
        return min(max_length - len(row["prompt_ids"]), len(row["completion_ids"]))
