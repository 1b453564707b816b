"""A model that does not answer: what is wrong with it, and when it is left alone."""

import time

from pipeline.backends.providers.interface import ProviderError
from pipeline.lib.logs import logger

_ABOUT_THE_QUESTION = ("HTTP 400", "HTTP 413", "HTTP 422")  # it refused this question, and may answer the next
_PATIENCE = 3  # calls in a row that it may fail
_REST = 60.0  # seconds for which it is not asked then


class Patience:
    """Ends when a model fails again and again, and comes back after a while."""

    def __init__(self) -> None:
        self._failures, self._failed_at = 0, 0.0

    @property
    def spent(self) -> bool:
        """Whether it is left alone for now."""
        return self._failures >= _PATIENCE and time.monotonic() - self._failed_at < _REST

    def answered(self) -> bool:
        """It did; returns whether it had failed before."""
        again, self._failures = self._failures > 0, 0
        return again

    def failed(self, name: str, error: ProviderError) -> str:
        """It did not; returns what is wrong with it."""
        problem = trouble(error)
        if problem not in _ABOUT_THE_QUESTION:
            self._failures, self._failed_at = self._failures + 1, time.monotonic()
            if self._failures == _PATIENCE:
                logger.warning("%s is left alone for %.0f s: %s", name, _REST, error)
        return problem


def silent(error: BaseException) -> bool:
    """Whether a server took the request and said nothing in time. Clients have it from httpx or its successor."""
    return "ReadTimeout" in (type(error).__name__, type(error.__cause__).__name__)


def trouble(error: ProviderError) -> str:
    """`down`, `slow`, `HTTP 503`, or `no chat` where something else than a model answered."""
    import httpx
    import openai

    cause = error.__cause__
    status = getattr(cause, "status_code", None)
    if isinstance(status, int) and status >= 400:
        return f"HTTP {status}"
    if isinstance(cause, openai.APITimeoutError | httpx.TimeoutException):
        return "slow"
    if isinstance(cause, openai.APIConnectionError | httpx.TransportError | OSError):
        return "down"
    return "no chat"
