"""Keeps the model libraries from drawing bars and printing advice into a crontab's mail."""

import logging
import warnings


def quiet_libraries() -> None:
    """Call before loading a model. Their errors still come; our own progress is shown by ourselves."""
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    # On processors with bfloat16 it asks for a package that would download a kernel from a hub.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # It advises weights for KTO that measured worse than ours.
    logging.getLogger("trl.trainer.kto_trainer").addFilter(_about_something_else)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|torch|accelerate)\b")
    # Which adapter peft calls active between two batches means nothing: each batch says whose it is.
    warnings.filterwarnings("ignore", message="Adapter .* was active which is now deleted")


def _about_something_else(record: logging.LogRecord) -> bool:
    return "different amounts of desirable" not in record.getMessage()
