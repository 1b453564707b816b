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
