"""The machines of an existing Ray cluster, through Ray Data.

Batches travel pickled, some at a time, so the driver's memory stays bounded; results come back in order. The workers
need the same Python environment, and the home folder only where the gateway is the teacher (its token lies there).
"""

import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from types import TracebackType
from typing import Any

from pipeline.backends.executors.interface import Batch, Result
from pipeline.lib.errors import ConfigurationError, UnavailableError

_PATIENCE = 5.0  # seconds
_WINDOW = 64  # batches that are under way together


class RayExecutor:
    """See `pipeline.backends.executors.interface.Executor`; connected while the `with` block lasts."""

    def __init__(self, address: str) -> None:
        """Remember where.

        Args:
            address: the cluster's head, `host:port`, or `auto`.

        Raises:
            ConfigurationError: Ray is not installed.
        """
        if find_spec("ray") is None:
            raise ConfigurationError("harvest.executor is ray, but Ray is missing", "pip install '.[ray]'")
        self._address = address

    def __enter__(self) -> "RayExecutor":
        import ray
        import ray.data

        try:
            self._knock()
            ray.init(
                address=self._address,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
                runtime_env={"env_vars": _ours()},
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise UnavailableError(
                f"no Ray cluster at {self._address}: {str(error).splitlines()[0]}", "`ray start --head` starts one"
            ) from error
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        return self

    def _knock(self) -> None:
        """Ray itself waits for minutes for a head that is not there."""
        host, _, port = self._address.rpartition(":")
        if host:
            socket.create_connection((host, int(port)), _PATIENCE).close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        ray.shutdown()

    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """A window of batches at a time."""
        import ray

        def work(rows: dict[str, Any]) -> dict[str, Any]:
            return {"result": [pickle.dumps(function(pickle.loads(each))) for each in rows["batch"]]}

        waiting = iter(batches)
        while window := [{"batch": pickle.dumps(batch)} for batch in islice(waiting, _WINDOW)]:
            data = ray.data.from_items(window, override_num_blocks=len(window))
            for row in data.map_batches(work, batch_size=1).iter_rows():
                yield pickle.loads(row["result"])


def _ours() -> dict[str, str]:
    """Settings and keys that workers need as well."""
    return {name: value for name, value in os.environ.items() if name.startswith("NIGHTSCHOOL_")}
