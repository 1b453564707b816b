"""What can go wrong in a program of the Sovereign VM."""

Value = int | str

CATEGORIES = ("syntax", "type", "stack", "arithmetic", "limit", "memory", "model", "time-out")


class VmError(Exception):
    """A program that cannot be assembled or that failed while running.

    `category` is one of CATEGORIES; `line` counts from 1 in the source.
    """

    def __init__(self, category: str, message: str, line: int) -> None:
        super().__init__(f"line {line}: {category} error: {message}")
        self.category = category
        self.line = line


class FaultError(Exception):
    """What an operation says when it fails; the machine adds the line.

    Faults of the categories `type` and `stack` are about the operation itself: its name is put before the message.
    """

    def __init__(self, category: str, message: str) -> None:
        super().__init__(message)
        self.category = category

    def at(self, operation: str, line: int) -> VmError:
        """The error that a person reads."""
        named = f"{operation} {self}" if self.category in ("type", "stack") else str(self)
        return VmError(self.category, named, line)


def wrong_kind(wanted: type) -> FaultError:
    """An integer where a text is needed, or the other way round."""
    return FaultError("type", "needs an integer, got text" if wanted is int else "needs text, got an integer")
