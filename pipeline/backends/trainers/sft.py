"""Supervised fine-tuning: learn the answers (`sft.jsonl`)."""

from typing import Any

from pipeline.backends.trainers.interface import Job
from pipeline.backends.trainers.lora import LoraTrainer, Row


class SftTrainer(LoraTrainer):
    """With trl's SFTTrainer, told to learn the answers only and to leave the order random."""

    def prepare(self, row: Row) -> Row | None:
        """A conversation, cut before its answer."""
        *prompt, answer = row["messages"]
        return {"prompt": prompt, "completion": [answer]} if answer["content"].strip() else None

    def build(self, job: Job, arguments: dict[str, Any], parts: dict[str, Any]) -> Any:
        """Without packing: every row is seen as it is served."""
        from trl import SFTConfig, SFTTrainer

        end = parts["processing_class"].eos_token
        return SFTTrainer(args=SFTConfig(completion_only_loss=True, packing=False, eos_token=end, **arguments), **parts)

    def supervised_tokens(self, row: Row, max_length: int) -> int:
        """Labels that are not masked."""
        return sum(label != -100 for label in row["labels"])
