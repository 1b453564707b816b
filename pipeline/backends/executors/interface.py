"""An executor applies a function to many batches: here, or on the machines of a cluster."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class Executor(Protocol):
    """Where the work of a stage is done."""

    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """The results in the order of the batches, which are taken as they are needed, not all at once.

        Function, batches and results have to be picklable.

        Raises:
            UnavailableError: the cluster does not answer.
        """
