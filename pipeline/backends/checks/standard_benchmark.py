"""Standard benchmarks: lm-eval's tasks (the extra `lm-eval`), asked of a version through the gateway.

Only local task files are read (YAML, as lm-eval writes them), only tasks of the type `generate_until` can be asked of a
chat server, and only metrics that are 0 or 1 for each question can be compared question by question.
"""

import contextlib
import io
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.lib.errors import BadRecordError, ConfigurationError

Ask = Callable[[str, Sequence[str], int], str]  # prompt, stop texts, most tokens → answer

_MOST_STOPS = 4  # as many as the OpenAI API takes
_MOST_TOKENS = 256  # where a task does not say


def outcomes(files: Sequence[str], home: Path, ask: Ask, concurrency: int) -> dict[tuple[str, str], bool]:
    """Have a version answer the tasks of some files.

    Args:
        files: task files, relative to `home`; so are the data files that they name.
        home: the installation's folder.
        ask: sends one prompt to the version.
        concurrency: questions at the same time.

    Returns: (task, question) → was it right?

    Raises:
        ConfigurationError: lm-eval is not installed, or a file is missing.
        BadRecordError: lm-eval cannot use a task, or it is of a kind that cannot be asked.
    """
    missing = [name for name in files if not (home / name).is_file()]
    if missing:
        raise ConfigurationError(f"canary.lm_eval: no file {home / missing[0]}", "correct the path")
    try:
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ConfigurationError(
            "canary.lm_eval needs lm-eval", "install it: pip install 'nightschool[lm-eval]'"
        ) from error
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    # It draws bars wherever it runs, and a night is read in a log.
    with contextlib.chdir(home), contextlib.redirect_stderr(io.StringIO()):
        try:
            result = simple_evaluate(
                model=_model(ask, concurrency),
                tasks=[str(home / name) for name in files],
                task_manager=TaskManager(include_defaults=False),
                bootstrap_iters=0,
            )
        except BadRecordError:
            raise
        except Exception as error:  # a task file is a small program; lm-eval raises whatever comes
            raise BadRecordError(
                f"canary.lm_eval: lm-eval cannot use {', '.join(files)}: {type(error).__name__}: {error}",
                "mend the task file; nothing was judged",
            ) from error
    return {
        (str(task), str(sample["doc_id"])): _right(str(task), sample)
        for task, samples in (result or {})["samples"].items()
        for sample in samples
    }


def _right(task: str, sample: dict[str, Any]) -> bool:
    metric = sample["metrics"][0]
    value = float(sample[metric])
    if value not in (0.0, 1.0):
        raise BadRecordError(
            f"canary.lm_eval: {task} scores question {sample['doc_id']} with {metric} {value:g}",
            "the first metric of the task must be 0 or 1 for each question, such as exact_match",
        )
    return value == 1.0


def _model(ask: Ask, concurrency: int) -> Any:
    """The version as a model of lm-eval."""
    from lm_eval.api.model import LM

    class Version(LM):  # type: ignore[misc]
        """Generates; a chat server says nothing of the likelihood of given texts."""

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            """Answer every prompt, in order."""

            def answer(request: Any) -> str:
                text, options = request.args
                stops = options.get("until") or []
                stops = [stops] if isinstance(stops, str) else stops[:_MOST_STOPS]
                return ask(text, stops, int(options.get("max_gen_toks") or _MOST_TOKENS))

            with ThreadPoolExecutor(concurrency) as pool:
                return list(pool.map(answer, requests))

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            """Refuse."""
            raise BadRecordError(
                "canary.lm_eval: a task needs the likelihoods of given answers",
                "only tasks with output_type: generate_until can be asked of a chat server",
            )

        def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
            """Refuse."""
            self.loglikelihood(requests)
            return []

    return Version()
