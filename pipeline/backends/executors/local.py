"""This process, one batch after the other."""

from collections.abc import Callable, Iterable, Iterator

from pipeline.backends.executors.interface import Batch, Result


class LocalExecutor:
    """See `pipeline.backends.executors.interface.Executor`."""

    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """Lazily, so that memory holds one batch."""
        return map(function, batches)
