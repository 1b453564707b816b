"""How training is seen: a bar on a terminal, plain lines under cron, and a file for those who look from elsewhere.

writes  `progress.jsonl` in the work folder: {"step", "steps", "loss", "learning_rate", "grad_norm"}
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.errors import DiskError

PROGRESS = "progress.jsonl"
_LOGGED = ("loss", "learning_rate", "grad_norm")


def progress_callback(terminal: bool) -> Any:
    """A transformers callback that shows steps and loss on stderr."""
    from transformers import TrainerCallback

    class Show(TrainerCallback):  # type: ignore[misc]
        """Draws, or prints about ten lines."""

        def __init__(self) -> None:
            self.bar: Any = None
            self.task: Any = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if terminal:
                from rich.console import Console
                from rich.progress import Progress

                self.bar = Progress(console=Console(stderr=True), transient=True)
                self.bar.start()
                self.task = self.bar.add_task("training", total=state.max_steps, completed=state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.bar:
                self.bar.update(self.task, completed=state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            loss = (logs or {}).get("loss")
            if loss is None:
                return
            point = {name: float(logs[name]) for name in _LOGGED if logs and name in logs}
            with suppress(DiskError):  # a training does not end because nobody can watch it
                line = {"step": state.global_step, "steps": state.max_steps, **point}
                jsonl.append(Path(args.output_dir) / PROGRESS, [line], durable=False)
            if self.bar:
                self.bar.update(self.task, description=f"training, loss {float(loss):.4f}")
            elif state.global_step % max(10, state.max_steps // 100 * 10) == 0:
                print(f"step {state.global_step}/{state.max_steps} loss {float(loss):.4f}", file=sys.stderr, flush=True)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.bar:
                self.bar.stop()

    return Show()
