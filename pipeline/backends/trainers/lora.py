"""What all methods of training a LoRA have in common; trl and peft do the work, bitsandbytes quantizes (NF4)."""

import hashlib
import math
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.backends.trainers import adapter_files
from pipeline.backends.trainers.interface import Job, Result
from pipeline.backends.trainers.progress import progress_callback
from pipeline.backends.trainers.visits import shown
from pipeline.lib.base_model import precision
from pipeline.lib.errors import NightschoolError
from pipeline.lib.logs import logger
from pipeline.lib.processor import keep_freed_memory
from pipeline.lib.quiet import quiet_libraries

_LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "datasets")
_CURVE = ("step", "epoch", "loss", "learning_rate", "grad_norm", "rewards/margins")

Row = dict[str, Any]


class LoraTrainer(ABC):
    """See `pipeline.backends.trainers.interface.Trainer`. A method says what its rows are and who learns them."""

    smallest_batch = 1

    @abstractmethod
    def prepare(self, row: Row) -> Row | None:
        """A row of the dataset as trl wants it, with its `prompt`; none if there is nothing to learn from it."""

    @abstractmethod
    def build(self, job: Job, arguments: dict[str, Any], parts: dict[str, Any]) -> Any:
        """trl's trainer, from the arguments of its configuration and its parts."""

    @abstractmethod
    def supervised_tokens(self, row: Row, max_length: int) -> int:
        """How many tokens of a tokenized row are learned from; 0 where an answer has none."""

    def train(self, job: Job) -> Result:
        """Train; a batch that does not fit into memory is halved, and what was counted stays the same."""
        while True:
            try:
                return self._train(job)
            except (RuntimeError, MemoryError) as error:
                smaller = job.recipe.batch_size // 2
                if not _out_of_memory(error) or smaller < self.smallest_batch:
                    raise
                accumulation = job.recipe.gradient_accumulation * job.recipe.batch_size // smaller
                logger.warning("out of memory: batch %d → %d", job.recipe.batch_size, smaller)
                recipe = replace(job.recipe, batch_size=smaller, gradient_accumulation=accumulation)
                job = replace(job, recipe=recipe)

    def _train(self, job: Job) -> Result:
        from transformers import set_seed

        quiet_libraries()
        keep_freed_memory()
        set_seed(job.seed)
        model, tokenizer = _load(job)
        usable = self._usable(job, tokenizer)
        visits, epochs = shown(usable, job.new, job.known, job.recipe)
        rows = [row for _, row in visits]
        trainer = self._trainer(job, model, tokenizer, rows, epochs)
        supervised = [self.supervised_tokens(row, job.recipe.max_length) for row in trainer.train_dataset]
        if len(supervised) < len(rows) or min(supervised) == 0:
            raise NightschoolError("a row lost all its supervised tokens in preparation; nothing was trained")
        start = _adapter_hash(trainer.model)
        started = time.monotonic()
        outcome = trainer.train(resume_from_checkpoint=_checkpoint(job.work))
        seconds = time.monotonic() - started
        metrics = {
            "steps": outcome.global_step,
            "loss": round(outcome.training_loss, 5),
            "rows": len(usable),
            "visits": round(epochs * len(rows)),
            "refused_rows": len(job.rows) - len(usable),
            "supervised_tokens": sum(supervised),
            "seconds": round(seconds, 2),
            "rows_per_second": round(epochs * len(rows) / seconds, 1),
        }
        curve = [_point(entry) for entry in trainer.state.log_history if "loss" in entry]
        losses = [outcome.training_loss, *(point["loss"] for point in curve)]
        _require_learning(outcome.global_step, losses, start, _adapter_hash(trainer.model))
        trainer.model.save_pretrained(job.output, safe_serialization=True)
        (job.output / "README.md").unlink(missing_ok=True)
        adapter_files.check(job.output)
        versions = {name: version(name) for name in _LIBRARIES}
        return Result(metrics, curve, versions, {interaction for interaction, _ in visits})

    def _usable(self, job: Job, tokenizer: Any) -> list[tuple[str, Row]]:
        """Interactions and rows with something to learn, whose answer begins before `max_length` tokens."""
        kept = []
        for row in job.rows:
            prepared = self.prepare(row)
            if prepared is not None and _length(tokenizer, prepared["prompt"]) < job.recipe.max_length:
                kept.append((str(row["interaction_id"]), prepared))
        if not kept:
            raise NightschoolError("no row has a token to learn from", f"max_length is {job.recipe.max_length}")
        return kept

    def _trainer(self, job: Job, model: Any, tokenizer: Any, rows: list[Row], epochs: float) -> Any:
        """trl's trainer, which writes nothing but checkpoints, and whose reference is always the bare base."""
        from datasets import Dataset
        from datasets.utils.logging import disable_progress_bar
        from transformers import PrinterCallback

        disable_progress_bar()
        parts = {
            "model": model,
            "train_dataset": Dataset.from_list(rows),
            "processing_class": tokenizer,
            "peft_config": None if job.parent is not None else _lora(job),
            "callbacks": [progress_callback(job.show_progress)],
        }
        trainer = self.build(job, _arguments(job, epochs), parts)
        # trl compares with a copy of a continued adapter. Compared with the base, which is there anyway, evening
        # after evening cannot add up to an ever larger drift; and a checkpoint holds one adapter.
        if "ref" in trainer.model.peft_config:
            trainer.model.delete_adapter("ref")
        trainer.remove_callback(PrinterCallback)
        return trainer


def _load(job: Job) -> tuple[Any, Any]:
    """The base (or the parent adapter on it) and its tokenizer."""
    from peft import PeftModel, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"revision": job.revision} if job.revision else {}
    tokenizer = AutoTokenizer.from_pretrained(job.base, **source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(job.base, **source, **precision(job.quantization))
    if job.quantization == "nf4":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if job.parent is not None:
        model = PeftModel.from_pretrained(model, str(job.parent), is_trainable=True)
    return model, tokenizer


def _length(tokenizer: Any, prompt: list[dict[str, str]]) -> int:
    text = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _arguments(job: Job, epochs: float) -> dict[str, Any]:
    """What every method's configuration says."""
    import torch

    recipe = job.recipe
    return {
        "output_dir": str(job.work),
        "per_device_train_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.scheduler,
        "warmup_steps": recipe.warmup_steps,
        "num_train_epochs": epochs,
        "weight_decay": recipe.weight_decay,
        "max_length": recipe.max_length,
        "gradient_checkpointing": False,  # trl turns it on; adapters of this size do not need it
        "use_cpu": not torch.cuda.is_available(),
        "bf16": torch.cuda.is_available(),
        "dataloader_pin_memory": False,
        "logging_steps": 10,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": job.save_every,
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": job.seed,
        "data_seed": job.seed,
    }


def _lora(job: Job) -> Any:
    from peft import LoraConfig

    recipe = job.recipe
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=recipe.targets if isinstance(recipe.targets, str) else list(recipe.targets),
        task_type="CAUSAL_LM",
    )


def _checkpoint(work: Path) -> str | None:
    """The last complete checkpoint of a training that was killed; its state file is written last."""
    found = [path for path in work.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    latest = max(found, key=lambda path: int(path.name.split("-")[1]), default=None)
    if latest is not None:
        logger.warning("going on from %s", latest.name)
    return None if latest is None else str(latest)


def _require_learning(steps: int, losses: list[float], start: str, end: str) -> None:
    """Nothing is called trained unless something was learned."""
    if steps == 0 or start == end:
        raise NightschoolError("training changed nothing: no step was made", "is the dataset empty?")
    if not all(math.isfinite(loss) for loss in losses):
        raise NightschoolError("the loss is not finite", "lower train.learning_rate")


def _adapter_hash(model: Any) -> str:
    """A hash of the trainable tensors."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _point(entry: dict[str, Any]) -> dict[str, float]:
    return {key: float(entry[key]) for key in _CURVE if key in entry}


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
