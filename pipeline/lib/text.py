"""What makes two texts the same question, and what of a text nobody may see."""

import re
import unicodedata

_LOGIN = re.compile(r"://[^/?#\s]*@")


def normalize(text: str) -> str:
    """Fold case, width and white space. Digits and signs stay: `7 + 2` and `7 - 2` are different questions."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def without_logins(text: str) -> str:
    """Take `user:password@` out of its URLs."""
    return _LOGIN.sub("://", text)


def printable(text: str) -> str:
    """In one line that no terminal obeys: line ends and control characters are written out (`\\n`, `\\x1b`)."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
