"""Foreign words in a message: what a user, a model or a server wrote can neither ping, link, paint nor break a line."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

from pipeline.lib.text import without_logins

_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?", re.DOTALL)
_JOINERS = "\u200c\u200d"  # some scripts and emoji are written with them
_WITHOUT_CUT = 0.5  # a cut at a word may lose so much, else the word is cut

NO_PING = {"@": "@\u200b"}
SLACK = {"&": "&amp;", "<": "&lt;", ">": "&gt;", **NO_PING}
DISCORD = {**{sign: f"\\{sign}" for sign in "\\*_~`|[]()<>#"}, **NO_PING}
NOTHING: Mapping[str, str] = {}


def plain(text: str) -> str:
    """One line of what can be seen: without terminal codes, control and direction signs, double blanks, and logins."""
    kept = (
        " " if char.isspace() else char
        for char in _TERMINAL.sub("", text)
        if char.isspace() or char in _JOINERS or unicodedata.category(char)[0] != "C"
    )
    return without_logins(" ".join("".join(kept).split()))


def fit(text: str, longest: int, escapes: Mapping[str, str] = NOTHING) -> str:
    """One plain line of at most `longest` characters after its signs are escaped; what is cut ends at a word, with `…`.

    Args:
        text: anything.
        longest: characters of the result, at least 1.
        escapes: what to write for a character.
    """
    text = plain(text)
    sizes = list(accumulate(len(escapes.get(char, char)) for char in text))
    if sizes and sizes[-1] > longest:
        kept = text[: bisect_right(sizes, longest - 1)]
        whole_words = kept.rpartition(" ")[0] if not text[len(kept)].isspace() else kept
        text = (whole_words if len(whole_words) >= _WITHOUT_CUT * len(kept) else kept).rstrip() + "…"
    return "".join(escapes.get(char, char) for char in text)
