"""What kind of failure an error text tells of. Pure: one text in, one category out, whatever the text is."""

import re
from typing import Literal, get_args

Category = Literal["syntax", "type", "stack", "arithmetic", "limit", "logic", "time-out", "unknown"]
CATEGORIES: tuple[Category, ...] = get_args(Category)

_LONGEST = 20_000  # characters looked at, the last ones: that is where a traceback says what happened

# The Sovereign VM names its category itself: `line 3: stack error: ADD on an empty stack`.
_VM = re.compile(r"line \d+: ([a-z-]+) error: ")
_VM_CATEGORIES: dict[str, Category] = {each: each for each in CATEGORIES} | {"memory": "logic"}

# The last exception that a Python traceback names.
_EXCEPTION = re.compile(r"^(?:[\w.]+\.)?([A-Z]\w*(?:Error|Expired|Iteration|Interrupt))(?=:|\s*$)", re.MULTILINE)
_EXCEPTIONS: dict[str, Category] = {
    **dict.fromkeys(["SyntaxError", "IndentationError", "TabError", "JSONDecodeError", "UnicodeDecodeError"], "syntax"),
    **dict.fromkeys(["TypeError", "AttributeError"], "type"),
    **dict.fromkeys(["ZeroDivisionError", "OverflowError", "FloatingPointError", "ArithmeticError"], "arithmetic"),
    **dict.fromkeys(["RecursionError", "MemoryError", "BlockingIOError"], "limit"),
    **dict.fromkeys(["TimeoutError", "TimeoutExpired"], "time-out"),
    **dict.fromkeys(
        ["AssertionError", "NameError", "UnboundLocalError", "KeyError", "IndexError", "ValueError", "StopIteration"],
        "logic",
    ),
}

# Everything else by what it says; the first rule that is found decides.
_RULES: tuple[tuple[str, Category], ...] = (
    (r"\btimed?[ -]?out\b|\bdeadline exceeded\b|\btook too long\b", "time-out"),
    (r"\b(?:empty stack|stack underflow|pop from empty|RET without CALL)\b", "stack"),
    (r"\bstack (?:overflow|size exceeded)\b|\bcall stack\b|\brecursion\b", "limit"),
    (r"\bout of memory\b|\btoo (?:large|long|many|deep)\b|\bmore than \d+\b|\bquota\b", "limit"),
    (r"\b(?:limit|maximum)\b.{0,40}\b(?:exceeded|reached)\b|\bexceed(?:s|ed)?\b.{0,40}\blimit\b", "limit"),
    (r"\b(?:division by zero|divide by zero|overflow|not a number|NaN)\b", "arithmetic"),
    (r"\bnot JSON\b|\bsyntax\b|\bparse error\b|\bunexpected (?:token|end|character)\b", "syntax"),
    (r"\bunknown instruction\b|\bunterminated\b|\binvalid escape\b|\bindent", "syntax"),
    (
        r"\bis not of type\b|\btype mismatch\b|\btype error\b|\bcannot convert\b|\bneeds an? (?:integer|text)\b",
        "type",
    ),
    (r"\bwrong value\b|\bwrong (?:answer|result|output)\b|\bthe text differs\b", "logic"),
    (r"\bthe pattern decides against it\b|\bdeclined the wrong way\b|\bdoes not fit\b", "logic"),
    (r"\bexpected\b|\bassert|\bundefined\b|\bnot defined\b|\bnothing is stored\b", "logic"),
)


def categorize(error: str | None) -> Category:
    """The category of an error text: what the VM says, else the exception, else the words; `unknown` without any."""
    text = (error or "")[-_LONGEST:]
    if (vm := _VM.search(text)) and vm[1] in _VM_CATEGORIES:
        return _VM_CATEGORIES[vm[1]]
    exceptions = _EXCEPTION.findall(text)
    if exceptions and exceptions[-1] in _EXCEPTIONS:
        return _EXCEPTIONS[exceptions[-1]]
    return next((category for words, category in _RULES if re.search(words, text, re.IGNORECASE)), "unknown")
