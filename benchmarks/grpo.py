"""The alternative that learns from the same check by reinforcement: trl's GRPOTrainer on the starter.

    python -m benchmarks.grpo [--tokens 105000] [--seed 100] [--all] [--validation] [--set learning_rate=1e-3 ...]

It sees a day's failures and is told for each of its answers whether the check passed, as Nightschool is. What is
counted is what both pay: the tokens they generate. The recipe below is what measured best on other questions than the
hold-out (`--validation`; LOG.md has what was tried).
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.backends.checks.run import judge
from pipeline.lib import jsonl
from pipeline.lib.text import normalize
from pipeline.starter import tasks

BASE = Path(__file__).resolve().parent.parent / "models" / "starter"
VALIDATION_SEED = 9999
_AT_ONCE = 200  # answers in one batch of an examination
_USUAL = 30  # tokens of an answer, in the mean
_LONGEST = 64  # tokens of an answer; the longest right one has 41

Record = dict[str, Any]  # {"messages": [...], "check": {...}}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What may be chosen. `batch` answers are generated together and make `batch / step` steps, `passes` times."""

    learning_rate: float = 2e-4
    beta: float = 0.0
    temperature: float = 1.0
    group: int = 16
    batch: int = 512
    step: int = 128
    passes: int = 2
    loss: str = "dapo"
    scale: str = "group"
    epsilon_high: float = 0.2
    scheduler: str = "constant"
    rank: int = 16
    warmup: float = 0.0

    @property
    def steps(self) -> int:
        """How many steps the answers of one generation make."""
        return self.passes * (self.batch // self.step)


@dataclass(frozen=True, slots=True)
class Learned:
    """Held-out success before and after, and what it took."""

    before: float
    after: float
    tokens: int
    steps: int
    seconds: float


def learn(questions: Sequence[Record], asked: Sequence[Record], budget: int, recipe: Recipe, seed: int) -> Learned:
    """Train on the questions until so many tokens have been generated; ask the others before and after."""
    model, tokenizer = _base()
    before = success(model, tokenizer, asked)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        trainer = _trainer(model, tokenizer, questions, budget, recipe, seed, Path(work))
        outcome = trainer.train()
    seconds = time.monotonic() - started
    after = success(trainer.model, tokenizer, asked)
    return Learned(before, after, trainer.reward_funcs[0].tokens, outcome.global_step, round(seconds, 1))


def success(model: Any, tokenizer: Any, asked: Sequence[Record]) -> float:
    """The share of questions that the model answers rightly when it draws nothing."""
    return sum(passed(model, tokenizer, asked)) / len(asked)


def passed(model: Any, tokenizer: Any, asked: Sequence[Record]) -> list[bool]:
    """Whether each question's likeliest answer passes its check."""
    from pipeline.backends.engines.chat import Request
    from pipeline.backends.engines.decoding import decode

    model.eval()
    answers: list[str] = []
    for begin in range(0, len(asked), _AT_ONCE):
        batch = [Request(each["messages"], "base", _LONGEST, 0.0) for each in asked[begin : begin + _AT_ONCE]]
        answers += [each.text for each in decode(model, tokenizer, batch)]
    return [judge(text, each["check"]).passed is True for text, each in zip(answers, asked, strict=True)]


def day(seed: int, count: int, forbidden: Sequence[Record] = ()) -> list[Record]:
    """The questions of one day."""
    left_out = {normalize(each["messages"][-1]["content"]) for each in forbidden}
    return [task.record() for task in islice(tasks.traffic(seed, left_out), count)]


def failures(questions: Sequence[Record]) -> list[Record]:
    """Those that the base answers wrongly."""
    right = passed(*_base(), questions)
    return [each for each, ok in zip(questions, right, strict=True) if not ok]


class Reward:
    """1 when the check passed. Counts the tokens that were generated, with those that end an answer."""

    __name__ = "check"

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(
        self, completions: list[Any], completion_ids: list[list[int]], check: list[str], **_: Any
    ) -> list[float]:
        """One reward an answer."""
        self.tokens += sum(len(ids) for ids in completion_ids)
        pairs = zip(completions, check, strict=True)
        return [float(judge(answer[0]["content"], json.loads(each)).passed is True) for answer, each in pairs]


def _base() -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BASE, padding_side="left")
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32), tokenizer


def _trainer(
    model: Any, tokenizer: Any, questions: Sequence[Record], budget: int, recipe: Recipe, seed: int, work: Path
) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import GRPOTrainer

    from pipeline.lib.processor import keep_freed_memory

    keep_freed_memory()
    set_seed(seed)
    rows = [{"prompt": each["messages"], "check": json.dumps(each["check"])} for each in questions]
    reward = Reward()
    return GRPOTrainer(
        model=model,
        reward_funcs=[reward],
        args=_arguments(recipe, budget, seed, work),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=recipe.rank, lora_alpha=2 * recipe.rank, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[_until(lambda: reward.tokens >= budget, recipe.steps)],
    )


def _arguments(recipe: Recipe, budget: int, seed: int, work: Path) -> Any:
    from trl import GRPOConfig

    generations = -(-budget // (_USUAL * recipe.batch))
    return GRPOConfig(
        output_dir=str(work),
        per_device_train_batch_size=recipe.step,
        generation_batch_size=recipe.batch,
        num_generations=recipe.group,
        num_iterations=recipe.passes,
        max_completion_length=_LONGEST,
        temperature=recipe.temperature,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.scheduler,
        warmup_steps=recipe.warmup,
        beta=recipe.beta,
        loss_type=recipe.loss,
        scale_rewards=recipe.scale,
        epsilon_high=recipe.epsilon_high,
        # A schedule has to know its end; without one only the budget counts.
        max_steps=10**6 if recipe.scheduler == "constant" else generations * recipe.steps,
        gradient_checkpointing=False,
        use_cpu=True,
        bf16=False,
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        data_seed=seed,
    )


def _until(over: Callable[[], bool], steps: int) -> Any:
    """Ends a training after the last of the steps that a generation makes, when the budget has been reached."""
    from transformers import TrainerCallback

    class Budget(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = over() and state.global_step % steps == 0

    return Budget()


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """With `name=value` for each that is to differ."""
    pairs = (change.split("=", 1) for change in changes)
    return replace(recipe, **{name: type(getattr(recipe, name))(value) for name, value in pairs})


def main() -> None:
    """One training, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tokens", type=int, default=105_000, help="to generate")
    parser.add_argument("--seed", type=int, default=100, help="of the day")
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--all", action="store_true", help="learn from all questions, not only from those that failed")
    parser.add_argument("--validation", action="store_true", help="examine with 400 other questions, not the hold-out")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the recipe")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    holdout = list(jsonl.read(BASE / "holdout.jsonl"))
    unseen = day(VALIDATION_SEED, 400, holdout) if options.validation else []
    questions = day(options.seed, options.requests, [*holdout, *unseen])
    if not options.all:
        questions = failures(questions)
    recipe = changed(Recipe(), options.set)
    learned = learn(questions, unseen or holdout, options.tokens, recipe, options.seed)
    print(json.dumps({**asdict(learned), "questions": len(questions), "recipe": asdict(recipe)}))


if __name__ == "__main__":
    main()
