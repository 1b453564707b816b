"""Direct preference optimization: make the better of two answers likelier than the worse (`preferences.jsonl`)."""

from typing import Any

from pipeline.backends.trainers.interface import Job
from pipeline.backends.trainers.lora import LoraTrainer, Row


class DpoTrainer(LoraTrainer):
    """With trl's DPOTrainer; the reference is the base, with the adapter disabled."""

    def prepare(self, row: Row) -> Row | None:
        """A pair; no pair is one of two equal answers, or with a better answer that says nothing."""
        chosen, rejected = row["chosen"][0]["content"], row["rejected"][0]["content"]
        if chosen == rejected or not chosen.strip():
            return None
        return {name: row[name] for name in ("prompt", "chosen", "rejected")}

    def build(self, job: Job, arguments: dict[str, Any], parts: dict[str, Any]) -> Any:
        """`beta`: how dearly it pays for leaving the reference."""
        from trl import DPOConfig, DPOTrainer

        return DPOTrainer(args=DPOConfig(beta=job.recipe.beta, **arguments), **parts)

    def supervised_tokens(self, row: Row, max_length: int) -> int:
        """Tokens of both answers, as far as there is room for them."""
        room = max_length - len(row["prompt_ids"])
        counted = [min(room, len(row[name])) for name in ("chosen_ids", "rejected_ids")]
        return sum(counted) if min(counted) > 0 else 0
