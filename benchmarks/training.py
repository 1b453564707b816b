"""Training through trl's SFTTrainer against a hand-written loop that draws random batches too.

    python -m benchmarks.training [--quick] [--json]

Same rows, same LoRA, same optimizer and schedule, batches drawn at random. Reported: rows/s of both (the ratio counts),
and the loss of both on the same held-out rows.
"""

import argparse
import math
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.table import Row, finish
from pipeline.backends.trainers.interface import Job
from pipeline.backends.trainers.presets import PRESETS
from pipeline.starter import tasks

BASE = Path(__file__).resolve().parent.parent / "models" / "starter"


def rows(seed: str, count: int) -> list[dict[str, Any]]:
    """Right answers to random tasks."""
    source = random.Random(seed)
    drawn = [tasks.draw(source, source.randint(1, 5)) for _ in range(count)]
    return [
        {
            "messages": [*task.messages, {"role": "assistant", "content": task.program}],
            "interaction_id": str(number),
        }
        for number, task in enumerate(drawn)
    ]


def with_trl(data: list[dict[str, Any]], epochs: int, folder: Path) -> tuple[float, Path]:
    """Rows/s and the adapter."""
    from pipeline.backends.trainers.sft import SftTrainer

    recipe = replace(PRESETS["default"], epochs=epochs)
    job = Job(str(BASE), None, "none", recipe, data, folder, folder / "adapter", None, 0, 10**6, False)
    result = SftTrainer().train(job)
    return float(result.metrics["rows_per_second"]), folder / "adapter"


def by_hand(data: list[dict[str, Any]], epochs: int, folder: Path) -> tuple[float, Path]:
    """The same by a plain loop: tokenize once, random batches, right padding, vocabulary at answer positions only."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, get_cosine_schedule_with_warmup, set_seed

    set_seed(0)
    recipe = PRESETS["default"]
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32),
        LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    started = time.monotonic()
    encoded = [encode(tokenizer, row) for row in data]
    steps = epochs * -(-len(data) // recipe.batch_size)
    optimizer = torch.optim.AdamW(
        (p for p in model.parameters() if p.requires_grad), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(recipe.warmup_steps * steps), steps)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(encoded), generator=generator).tolist()
        for begin in range(0, len(order), recipe.batch_size):
            loss = loss_of(model, [encoded[i] for i in order[begin : begin + recipe.batch_size]])
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    seconds = time.monotonic() - started
    model.save_pretrained(folder / "adapter")
    return len(data) * epochs / seconds, folder / "adapter"


def encode(tokenizer: Any, row: dict[str, Any]) -> tuple[list[int], int]:
    """Tokens, and where the answer begins."""
    prompt = tokenizer.apply_chat_template(row["messages"][:-1], add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(row["messages"], tokenize=False)
    begin = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    return tokenizer(whole, add_special_tokens=False)["input_ids"], begin


def loss_of(model: Any, batch: list[tuple[list[int], int]]) -> Any:
    """Mean cross-entropy (nats) per answer token."""
    import torch

    width = max(len(tokens) for tokens, _ in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    answered = torch.zeros((len(batch), width), dtype=torch.bool)
    for row, (tokens, begin) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        answered[row, begin : len(tokens)] = True
    inner = model.get_base_model()
    hidden = inner.model(input_ids=ids).last_hidden_state[:, :-1]
    wanted = answered[:, 1:]
    return torch.nn.functional.cross_entropy(inner.lm_head(hidden[wanted]), ids[:, 1:][wanted])


def held_out_loss(adapter: Path, data: list[dict[str, Any]]) -> float:
    """Loss of an adapter on rows that it was not trained on."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32), adapter).eval()
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    with torch.inference_mode():
        return float(loss_of(model, [encode(tokenizer, row) for row in data]))


def main() -> None:
    """Both in turn, several times; the ratio of each pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one pair, fewer rows")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pairs, count, epochs = (1, 200, 2) if options.quick else (3, 480, 6)
    data, unseen = rows("training", count), rows("unseen", 200)
    ratios, speeds, losses = [], [], []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
            fast, adapter = with_trl(data, epochs, Path(ours))
            plain, other = by_hand(data, epochs, Path(theirs))
            ratios.append(fast / plain)
            speeds.append((fast, plain))
            losses.append((held_out_loss(adapter, unseen), held_out_loss(other, unseen)))
    fast, plain = (median(each) for each in zip(*speeds, strict=True))
    ours_loss, plain_loss = (median(each) for each in zip(*losses, strict=True))
    table = [
        Row(
            "rows/s, SFTTrainer ÷ plain loop",
            "≥ 0.9",
            f"{median(ratios):.2f} ({fast:.0f} ÷ {plain:.0f})",
            median(ratios) >= 0.9,
        ),
        Row(
            "held-out loss, SFTTrainer against plain loop",
            "≤ 1.05 ×",
            f"{ours_loss:.4f} / {plain_loss:.4f}",
            ours_loss <= 1.05 * plain_loss,
        ),
    ]
    finish("training", table, {"ratios": ratios, "losses": losses}, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
