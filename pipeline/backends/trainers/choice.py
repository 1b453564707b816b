"""The trainer of each method, and the table of a dataset that it learns from."""

import importlib

from pipeline.backends.trainers.interface import Trainer
from pipeline.lib import formats

TABLES = {"sft": formats.CHAT, "dpo": formats.PREFERENCES, "kto": formats.UNPAIRED}
TRAINERS = {
    "sft": "pipeline.backends.trainers.sft:SftTrainer",
    "dpo": "pipeline.backends.trainers.dpo:DpoTrainer",
    "kto": "pipeline.backends.trainers.kto:KtoTrainer",
}


def trainer(method: str) -> Trainer:
    """The trainer of a method that the settings allow."""
    module, _, name = TRAINERS[method].partition(":")
    chosen: Trainer = getattr(importlib.import_module(module), name)()
    return chosen
