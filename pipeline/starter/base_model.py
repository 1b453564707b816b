"""Makes the starter's base model from nothing: tokenizer, chat template, a small Llama, a minute of pre-training.

The result is a plain transformers folder; everything after this file treats it like any other model.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.lib.quiet import quiet_libraries
from pipeline.lib.text import normalize
from pipeline.starter import tasks
from pipeline.starter.task import Task

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the base is pre-trained; part of its identity, so a change makes a new base.

    `shares` are, for each family of tasks, the relative frequencies of 1, 2, … operations: enough short ones to be good
    at them, few long ones.
    """

    seed: int = 1
    steps: int = 172
    batch_size: int = 32
    matrix_learning_rate: float = 0.02
    other_learning_rate: float = 3e-3
    shares: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {"arithmetic": (0.45, 0.32, 0.15, 0.05, 0.03), "text": (0.35, 0.2, 0.06)}
    )
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    intermediate_size: int = 352
    vocabulary: int = 512
    threads: int = 2
    version: int = 3


def train_base(folder: Path, recipe: Recipe | None = None) -> dict[str, Any]:
    """Pre-train the base model and write it to `folder`; deterministic on one kind of processor.

    Returns: parameters, final loss, seconds, recipe.
    """
    import torch

    recipe = recipe or Recipe()

    quiet_libraries()
    started = time.monotonic()
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    tokenizer = _tokenizer(recipe)
    model = _fresh_model(recipe, tokenizer)
    optimizers = _optimizers(model, recipe)
    schedules = [torch.optim.lr_scheduler.LambdaLR(each, partial(_warm_up_and_decay, recipe)) for each in optimizers]
    loss = torch.tensor(0.0)
    for tokens, answers in _batches(tokenizer, recipe):
        # Padding stands on the right, so causal attention never sees it; only answer positions meet the vocabulary.
        hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1]
        answered = answers[:, 1:]
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[answered]), tokens[:, 1:][answered])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {
        "parameters": model.num_parameters(),
        "loss": round(loss.item(), 4),
        "seconds": round(time.monotonic() - started, 1),
        "recipe": asdict(recipe),
    }


def _fresh_model(recipe: Recipe, tokenizer: "PreTrainedTokenizerFast") -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden_size,
            intermediate_size=recipe.intermediate_size,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _optimizers(model: Any, recipe: Recipe) -> "list[torch.optim.Optimizer]":
    """Muon for the matrices inside, AdamW for embeddings and norms."""
    import torch

    from pipeline.starter.muon import Muon

    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
    return [
        Muon(matrices, recipe.matrix_learning_rate),
        torch.optim.AdamW(others, recipe.other_learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _warm_up_and_decay(recipe: Recipe, step: int) -> float:
    """Up over the first 30 steps, level, down to zero over the second half."""
    return min(1.0, (step + 1) / 30, (recipe.steps - step) / (recipe.steps / 2))


def _lessons(seed: str, shares: dict[str, tuple[float, ...]]) -> Iterator[Task]:
    """Endless pre-training tasks; the hold-outs are not among them."""
    forbidden = {normalize(task.question) for task in tasks.every_holdout()}
    weighted = {(name, at): share for name, each in shares.items() for at, share in enumerate(each, start=1)}
    kinds, weights = list(weighted), list(weighted.values())
    source = random.Random(seed)
    while True:
        family, operations = source.choices(kinds, weights)[0]
        task = tasks.draw(source, operations, family)
        if normalize(task.question) not in forbidden:
            yield task


def _tokenizer(recipe: Recipe) -> "PreTrainedTokenizerFast":
    """Byte-level BPE with single digits, so that any text can be written and numbers are read digit by digit."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    lessons = _lessons(f"tokenizer {recipe.seed}", recipe.shares)
    sample = [next(lessons) for _ in range(5000)]
    bpe.train_from_iterator((text for task in sample for text in (task.question, task.program)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=SPECIAL_TOKENS[0],
        eos_token=SPECIAL_TOKENS[1],
        additional_special_tokens=SPECIAL_TOKENS[2:],
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"),
        padding_side="left",
    )


def _batches(tokenizer: "PreTrainedTokenizerFast", recipe: Recipe) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
    """`recipe.steps` batches: tokens (rows, width), padded on the right, and which of them belong to an answer."""
    import torch

    lessons = _lessons(f"lessons {recipe.seed}", recipe.shares)
    for _ in range(recipe.steps):
        batch = [next(lessons) for _ in range(recipe.batch_size)]
        texts = [
            tokenizer.apply_chat_template(task.messages, tokenize=False, add_generation_prompt=True) for task in batch
        ]
        prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
        programs = [task.program + tokenizer.eos_token for task in batch]
        answers = tokenizer(programs, add_special_tokens=False)["input_ids"]
        width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
        tokens = torch.full((len(batch), width), tokenizer.pad_token_id)
        answered = torch.zeros((len(batch), width), dtype=torch.bool)
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            tokens[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
            answered[row, len(prompt) : len(prompt) + len(answer)] = True
        yield tokens, answered
