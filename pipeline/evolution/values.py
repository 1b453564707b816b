"""What the operations compute: functions of the values that they take from the stack."""

import re

from pipeline.evolution.faults import FaultError, Value

_INTEGER = re.compile(r"[+-]?[0-9]+")
MOST_DIGITS = 4000  # Python refuses to read integers of more than 4300


def divide(left: int, right: int) -> int:
    """Rounded down, as in Python: -7 / 2 is -4."""
    if right == 0:
        raise FaultError("arithmetic", "division by zero")
    return left // right


def remainder(left: int, right: int) -> int:
    """What `divide` leaves; it has the sign of `right`."""
    if right == 0:
        raise FaultError("arithmetic", "division by zero")
    return left % right


def equal(left: Value, right: Value) -> int:
    """EQ."""
    return int(left == right)


def unequal(left: Value, right: Value) -> int:
    """NE."""
    return int(left != right)


def less(left: int, right: int) -> int:
    """LT."""
    return int(left < right)


def at_most(left: int, right: int) -> int:
    """LE."""
    return int(left <= right)


def greater(left: int, right: int) -> int:
    """GT."""
    return int(left > right)


def at_least(left: int, right: int) -> int:
    """GE."""
    return int(left >= right)


def both(left: int, right: int) -> int:
    """AND."""
    return int(left != 0 and right != 0)


def either(left: int, right: int) -> int:
    """OR."""
    return int(left != 0 or right != 0)


def negated(value: int) -> int:
    """NOT."""
    return int(value == 0)


def length(value: Value) -> int:
    """LENGTH."""
    return len(str(value))


def reverse(text: str) -> str:
    """REVERSE."""
    return text[::-1]


def part(text: str, start: int, length: int) -> str:
    """Shorter than `length` where the text ends before."""
    if start < 0 or length < 0:
        raise FaultError("arithmetic", f"a part cannot start at {start} and be {length} long")
    return text[start : start + length]


def character(number: int) -> str:
    """The character with that number in Unicode."""
    # Half of a surrogate pair is no character, and cannot be written anywhere.
    if not 0 <= number <= 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise FaultError("arithmetic", f"no character has the number {number}")
    return chr(number)


def number_of(text: str) -> int:
    """The number in Unicode of a text of one character."""
    if len(text) != 1:
        raise FaultError("type", f"needs one character, got {len(text)}")
    return ord(text)


def integer(text: str) -> int:
    """Decimal digits, with a sign if need be and spaces around them."""
    written = text.strip()
    if not _INTEGER.fullmatch(written):
        raise FaultError("type", f"needs the digits of an integer, got {text[:40]!r}")
    if len(written.lstrip("+-0")) > MOST_DIGITS:
        raise FaultError("arithmetic", "integer too large")
    sign = -1 if written[0] == "-" else 1
    return sign * int(written.lstrip("+-0") or "0")
