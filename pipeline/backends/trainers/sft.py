"""Supervised fine-tuning of a LoRA with trl's SFTTrainer and peft; QLoRA (NF4) with bitsandbytes."""

import hashlib
import math
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.backends.trainers import adapter_files
from pipeline.backends.trainers.interface import Job, Result
from pipeline.backends.trainers.progress import progress_callback
from pipeline.lib.errors import NightschoolError
from pipeline.lib.logs import logger
from pipeline.lib.processor import keep_freed_memory
from pipeline.lib.quiet import quiet_libraries

_LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "datasets")


class SftTrainer:
    """See `pipeline.backends.trainers.interface.Trainer`."""

    def train(self, job: Job) -> Result:
        """Train; a batch that does not fit into memory is halved, and what was counted stays the same."""
        while True:
            try:
                return self._train(job)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error) or job.recipe.batch_size == 1:
                    raise
                smaller = job.recipe.batch_size // 2
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
        kept, refused = _supervised(job, tokenizer)
        if not kept:
            raise NightschoolError("no row has a token to learn from", f"max_length is {job.recipe.max_length}")
        trainer = _trainer(job, model, tokenizer, kept)
        supervised = [sum(label != -100 for label in row["labels"]) for row in trainer.train_dataset]
        if min(supervised) == 0:
            raise NightschoolError("a row lost all its supervised tokens in preparation; nothing was trained")
        start = _adapter_hash(trainer.model)
        started = time.monotonic()
        outcome = trainer.train(resume_from_checkpoint=_checkpoint(job.work))
        seconds = time.monotonic() - started
        metrics = {
            "steps": outcome.global_step,
            "loss": round(outcome.training_loss, 5),
            "rows": len(kept),
            "refused_rows": len(refused),
            "supervised_tokens": sum(supervised),
            "seconds": round(seconds, 2),
            "rows_per_second": round(len(kept) * trainer.state.num_train_epochs / seconds, 1),
        }
        curve = [_point(entry) for entry in trainer.state.log_history if "loss" in entry]
        _require_learning(outcome.global_step, [point["loss"] for point in curve], start, _adapter_hash(trainer.model))
        trainer.model.save_pretrained(job.output, safe_serialization=True)
        (job.output / "README.md").unlink(missing_ok=True)
        adapter_files.check(job.output)
        return Result(metrics, curve, {name: version(name) for name in _LIBRARIES}, refused)


def _load(job: Job) -> tuple[Any, Any]:
    """The base (or the parent adapter on it) and its tokenizer."""
    import torch
    from peft import PeftModel, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    source = {"revision": job.revision} if job.revision else {}
    tokenizer = AutoTokenizer.from_pretrained(job.base, **source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    options: dict[str, Any] = {"dtype": torch.float32}
    if job.quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
        )
    model = AutoModelForCausalLM.from_pretrained(job.base, **source, **options)
    if job.quantization == "nf4":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if job.parent is not None:
        model = PeftModel.from_pretrained(model, str(job.parent), is_trainable=True)
    return model, tokenizer


def _supervised(job: Job, tokenizer: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows whose answer begins before `max_length` tokens, and the ids of those refused."""
    kept, refused = [], []
    for row in job.rows:
        prompt = tokenizer.apply_chat_template(row["messages"][:-1], add_generation_prompt=True, tokenize=False)
        tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        if len(tokens) < job.recipe.max_length and row["messages"][-1]["content"].strip():
            kept.append({"prompt": row["messages"][:-1], "completion": row["messages"][-1:]})
        else:
            refused.append(row["interaction_id"])
    return kept, refused


def _trainer(job: Job, model: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> Any:
    """trl's trainer, told to learn the answers only and to leave the order random."""
    import torch
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    disable_progress_bar()
    recipe = job.recipe
    arguments = SFTConfig(
        output_dir=str(job.work),
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.scheduler,
        warmup_steps=recipe.warmup_steps,
        num_train_epochs=recipe.epochs_for(len(rows)),
        weight_decay=recipe.weight_decay,
        max_length=recipe.max_length,
        completion_only_loss=True,
        packing=False,
        gradient_checkpointing=False,  # trl turns it on; adapters of this size do not need it
        use_cpu=not torch.cuda.is_available(),
        bf16=torch.cuda.is_available(),
        dataloader_pin_memory=False,
        logging_steps=10,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=job.save_every,
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        seed=job.seed,
        data_seed=job.seed,
        eos_token=tokenizer.eos_token,
    )
    lora = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=recipe.targets if isinstance(recipe.targets, str) else list(recipe.targets),
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=None if job.parent is not None else lora,
        callbacks=[progress_callback(job.show_progress)],
    )
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    return trainer


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
    return {key: float(entry[key]) for key in ("step", "epoch", "loss", "learning_rate", "grad_norm") if key in entry}


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
