"""Ids of interactions as people type them: with or without the prefix of an answer, whole or a unique beginning."""

from collections.abc import Iterable

from pipeline.lib.errors import UsageError

_SHORTEST = 6  # characters


def beginning(identity: str) -> str:
    """What the ids that are meant begin with.

    Raises:
        UsageError: too short to mean one.
    """
    wanted = identity.removeprefix("chatcmpl-").lower()
    if len(wanted) < _SHORTEST:
        raise UsageError(f"{identity!r} is too short", f"give at least {_SHORTEST} characters of the id")
    return wanted


def only(identity: str, known: Iterable[str]) -> str:
    """The one id that is meant, of those that begin so.

    Raises:
        UsageError: none, or several.
    """
    found = set(known)
    if not found:
        raise UsageError(f"no interaction {identity!r}", "logs/interactions/*.jsonl holds the ids")
    if len(found) > 1:
        raise UsageError(
            f"{identity!r} is the beginning of {len(found)} ids", f"such as {', '.join(sorted(found)[:3])}"
        )
    return found.pop()
