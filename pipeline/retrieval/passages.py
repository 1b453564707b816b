"""Long texts → passages that the embedding model can read whole."""

import re
from collections.abc import Callable, Iterator

Span = tuple[int, int]  # first character, and the one after the last

# Where a text may be cut, the best place first.
_BREAKS = [re.compile(pattern) for pattern in (r"\n\s*\n", r"\n", r"(?<=[.!?;:])\s+", r"\s+")]


def split(text: str, longest: int, count: Callable[[str], int]) -> list[Span]:
    """Cut a text between paragraphs; only where one is too long, between lines, sentences, words, or inside a word.

    Args:
        text: the text.
        longest: tokens in one passage.
        count: how many tokens a text has.

    Returns:
        Spans in their order. Together they hold every character that is not white space, once; none is empty, and none
        has more than `longest` tokens (unless a single character has).
    """
    passages: list[Span] = []
    pieces: list[Span] = []
    tokens = 0
    for start, end, size in _pieces(text, 0, len(text), longest, count, 0):
        if pieces and tokens + size > longest:
            passages += _packed(text, pieces, longest, count)
            pieces, tokens = [], 0
        pieces.append((start, end))
        tokens += size
    return passages + (_packed(text, pieces, longest, count) if pieces else [])


def _packed(text: str, pieces: list[Span], longest: int, count: Callable[[str], int]) -> list[Span]:
    """Neighbours as one passage. A tokenizer may count a whole higher than its parts: then they stay apart."""
    whole = (pieces[0][0], pieces[-1][1])
    if len(pieces) == 1 or count(text[whole[0] : whole[1]]) <= longest:
        return [whole]
    middle = len(pieces) // 2
    return _packed(text, pieces[:middle], longest, count) + _packed(text, pieces[middle:], longest, count)


def _pieces(
    text: str, start: int, end: int, longest: int, count: Callable[[str], int], level: int
) -> Iterator[tuple[int, int, int]]:
    """(start, end, tokens) of the largest pieces that fit."""
    inner = text[start:end]
    stripped = inner.strip()
    if not stripped:
        return
    start += len(inner) - len(inner.lstrip())
    end = start + len(stripped)
    size = count(stripped)
    if size <= longest or end - start == 1:
        yield start, end, size
    elif level == len(_BREAKS):
        middle = (start + end) // 2
        yield from _pieces(text, start, middle, longest, count, level)
        yield from _pieces(text, middle, end, longest, count, level)
    else:
        position = start
        for found in _BREAKS[level].finditer(text, start, end):
            yield from _pieces(text, position, found.start(), longest, count, level + 1)
            position = found.end()
        yield from _pieces(text, position, end, longest, count, level + 1)
