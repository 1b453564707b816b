"""API keys, which are only ever in environment variables."""

import os

from pipeline.lib.errors import ConfigurationError


def key_of(variable: str | None) -> str | None:
    """The key in an environment variable, without white space around it; none: it is not set, or empty.

    Raises:
        ConfigurationError: it cannot be sent in a header. HTTP clients would say so, too, and show the key.
    """
    key = os.environ.get(variable, "").strip() if variable else ""
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            f"the key in {variable} has a character that no key has: a line end, or one that is not ASCII",
            "set it anew, perhaps from a file without Windows line ends",
        )
    return key or None
