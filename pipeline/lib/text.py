"""What makes two texts the same question."""

import unicodedata


def normalize(text: str) -> str:
    """Fold case, width and white space. Digits and signs stay: `7 + 2` and `7 - 2` are different questions."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
