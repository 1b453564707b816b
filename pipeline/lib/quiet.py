"""Keeps the model libraries from drawing bars and printing advice into a crontab's mail."""

import warnings


def quiet_libraries() -> None:
    """Call before loading a model. Their errors still come; our own progress is shown by ourselves."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|torch|accelerate)\b")
