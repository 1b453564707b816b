"""Named training recipes. A setting in [train] overrides the preset's value."""

from dataclasses import dataclass, replace
from typing import Any

from pipeline.lib.sections import Train

_LEAST_EPOCHS = 3.0
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an adapter is trained.

    `warmup_steps` below 1 is a share of all steps. `continues`: from the current adapter instead of from the base.
    `row_visits`: where all epochs would show more rows than this, there are fewer epochs, but at least `_LEAST_EPOCHS`.
    `new_passes`: how often a training that goes on shows rewrites which are new since the incumbent; where that would
    be more rows than `new_visits`, less often, but at least as often as `known_passes`, which earlier ones are shown;
    good answers that are replayed are shown once. None: all rows are alike.
    `beta`: how dearly DPO and KTO pay for leaving the base; none for `sft`, which has no reference.
    """

    rank: int
    alpha: int
    targets: tuple[str, ...] | str
    learning_rate: float
    scheduler: str
    epochs: float
    batch_size: int
    gradient_accumulation: int
    warmup_steps: float = 0
    max_length: int = 2048
    weight_decay: float = 0.0
    continues: bool = False
    row_visits: int | None = None
    new_passes: int | None = None
    new_visits: int = 7500
    known_passes: int = 3
    method: str = "sft"
    beta: float | None = None

    def epochs_for(self, rows: int) -> float:
        """Passes over so many rows."""
        if self.row_visits is None:
            return self.epochs
        return min(self.epochs, max(_LEAST_EPOCHS, self.row_visits / rows))

    def passes_for(self, new: int) -> int:
        """Passes over so many new rows, in a training that goes on."""
        return max(self.known_passes, min(self.new_passes or 1, self.new_visits // new))


PRESETS = {
    # What measured best on the starter (LOG.md): on from the last adapter with all rows so far, all linear layers, a
    # high rate.
    "default": Recipe(
        rank=16,
        alpha=32,
        targets="all-linear",
        learning_rate=3e-3,
        scheduler="cosine",
        epochs=12,
        batch_size=32,
        gradient_accumulation=1,
        warmup_steps=0.1,
        weight_decay=0.1,
        continues=True,
        row_visits=4800,
        new_passes=12,
    ),
    "council": Recipe(
        rank=16,
        alpha=32,
        targets=ATTENTION,
        learning_rate=5e-5,
        scheduler="linear",
        epochs=3,
        batch_size=4,
        gradient_accumulation=8,
    ),
    "evening": Recipe(
        rank=16,
        alpha=32,
        targets=ATTENTION,
        learning_rate=1e-4,
        scheduler="constant_with_warmup",
        epochs=1,
        batch_size=1,
        gradient_accumulation=4,
        warmup_steps=10,
        continues=True,
    ),
}


@dataclass(frozen=True, slots=True)
class _WithReference:
    """How a method that compares with the base changes a preset: a share of its rate, most epochs, and the beta."""

    rate: float
    most_epochs: float
    beta: float


# What measured best on the starter (LOG.md). Both start from what the base says already: with the steps of supervised
# training they unlearn more than they teach.
_METHODS = {
    "dpo": _WithReference(rate=1 / 30, most_epochs=3, beta=0.1),
    "kto": _WithReference(rate=1 / 10, most_epochs=3, beta=0.1),
}


def recipe(settings: Train) -> Recipe:
    """The preset, adapted to the method, with the overrides of the configuration."""
    chosen, method = PRESETS[settings.preset], settings.method
    if method in _METHODS:
        chosen = _adapted(chosen, method)
    overrides: dict[str, Any] = {
        name: value
        for name in ("rank", "alpha", "learning_rate", "epochs", "batch_size", "gradient_accumulation")
        if (value := getattr(settings, name)) is not None
    }
    if method in _METHODS and settings.beta is not None:
        overrides["beta"] = settings.beta
    if settings.epochs is not None:
        overrides |= {"row_visits": None, "new_passes": None}  # who asks for a number of epochs gets it
    return replace(chosen, **overrides)


def _adapted(preset: Recipe, method: str) -> Recipe:
    change = _METHODS[method]
    chosen = replace(
        preset,
        method=method,
        beta=change.beta,
        learning_rate=preset.learning_rate * change.rate,
        epochs=min(preset.epochs, change.most_epochs),
        new_passes=None,
    )
    if method == "kto" and chosen.batch_size == 1:
        # A batch of one has no other answer to estimate the drift from.
        chosen = replace(chosen, batch_size=2, gradient_accumulation=max(1, chosen.gradient_accumulation // 2))
    return chosen
