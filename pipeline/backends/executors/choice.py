"""Which executor the configuration means."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.backends.executors.interface import Executor
from pipeline.lib.config import Settings


@contextmanager
def executor_of(settings: Settings) -> Iterator[Executor]:
    """The executor of `harvest.executor`, closed after the block.

    Raises:
        UnavailableError: the cluster does not answer.
        ConfigurationError: the extra `ray` is not installed.
    """
    if settings.harvest.executor == "local":
        from pipeline.backends.executors.local import LocalExecutor

        yield LocalExecutor()
        return
    from pipeline.backends.executors.ray_data import RayExecutor

    with RayExecutor(settings.harvest.ray_address) as executor:
        yield executor
