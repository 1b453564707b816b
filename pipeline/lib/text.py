"""What makes two texts the same question, what of a text nobody may see, and how any text can be shown."""

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LOGIN = re.compile(r"://[^/?#\s]*@")
_PICTURES = {code: 0x2400 + code for code in range(32)} | {0x7F: 0x2421}  # ␛ for an escape, ␀ for a NUL
_TURNING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]  # they make text read backwards
_SHOWN = _PICTURES | {code: f"‹U+{code:04X}›" for code in [*range(0x80, 0xA0), *_TURNING]}
_SHOWN_LINES = {code: shown for code, shown in _SHOWN.items() if chr(code) not in "\n\t"}


def normalize(text: str) -> str:
    """Fold case, width and white space. Digits and signs stay: `7 + 2` and `7 - 2` are different questions."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def encodable(text: str) -> str:
    """With ? for each half of a surrogate pair that stands alone: JSON can say one, files and databases cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str) -> str:
    """Control characters written out (`\\n`, `\\x1b`): a message stays one line, and paints no terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def without_logins(text: str) -> str:
    """Take `user:password@` out of its URLs."""
    return _LOGIN.sub("://", text)


def visible(text: str, longest: int = 0, lines: bool = False) -> str:
    """Text that does nothing to a terminal or a page: control characters become pictures, URLs lose their logins.

    Args:
        text: anything.
        longest: cut after so many characters, with an ellipsis; 0: never.
        lines: keep line breaks and tabs; otherwise a line break becomes ⏎, and the text is one line.
    """
    text = without_logins(text)
    if longest and len(text) > longest:
        text = text[:longest].rstrip() + " …"
    return text.translate(_SHOWN_LINES) if lines else " ⏎ ".join(text.splitlines()).translate(_SHOWN)


def printable(text: str) -> str:
    """In one line that no terminal obeys: line ends and control characters are written out (`\\n`, `\\x1b`)."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
