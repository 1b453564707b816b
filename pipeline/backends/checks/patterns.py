"""Regular expressions in checks. A check may be anybody's, so no pattern takes more than a second, or much memory.

They are those of `re`. `re` itself cannot be interrupted, so the package `regex` searches, which reads them alike but
for what is escaped here.
"""

import re
from functools import lru_cache
from math import prod
from typing import Any

import regex

SECONDS = 1.0  # of one search
TOO_LONG = "the pattern takes too long"
_LARGEST = 100_000  # parts; `regex` writes repetitions out, at some 100 bytes a part
_REPEATED = re.compile(r"([)\s]?)\{([0-9]+)")  # a group, perhaps with blanks in between; or a single character
# A brace that repeats nothing stands for itself; to `regex` it may allow mistakes.
_BRACE = re.compile(r"\\(?:N\{[^}]*\}|.)|\{(?![0-9]*(?:,[0-9]*)?\})", re.DOTALL)


def require_usable(pattern: Any) -> None:
    """Raise ValueError when it does not compile, or would be too large."""
    try:
        re.compile(pattern)
        _compiled(pattern)
    except (TypeError, OverflowError, RecursionError, MemoryError, re.error, regex.error) as error:
        raise ValueError(f"pattern is unusable ({error})") from error


def found(pattern: str, text: str, seconds: float = SECONDS) -> bool:
    """Whether the pattern is somewhere in the text.

    Raises:
        TimeoutError: that could not be found out in time.
        ValueError: the pattern is too large.
    """
    return _compiled(pattern).search(text, timeout=seconds) is not None


@lru_cache(maxsize=32)
def _compiled(pattern: str) -> Any:
    counts = [(bool(group), int(count)) for group, count in _REPEATED.findall(pattern)]
    of_groups = prod(max(1, count) for group, count in counts if group)
    of_characters = sum(count for group, count in counts if not group)
    if (len(pattern) + of_characters) * of_groups > _LARGEST:
        raise ValueError("pattern is unusable (too large, or its repetitions are)")
    plain = _BRACE.sub(lambda found: r"\{" if found[0] == "{" else found[0], pattern)
    return regex.compile(plain, regex.V0, cache_pattern=False)
