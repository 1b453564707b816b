"""What the readers of foreign programs share: the shape of a row, what people said, which rows a window has."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.backends.sources.interface import Row
from pipeline.lib.problems import Problems
from pipeline.lib.records import Message, content_id

Said = dict[str, Any]
Placed = tuple[str, Row]

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, IndexError)  # what foreign shapes make of a reader

_LONGEST = 10_000  # characters of a comment or an error, as in `Feedback`
_LONGEST_ANSWER = 100_000  # … and of an answer there
_TEXTS = ("user", "session", "model", "edited", "preferred")
_NUMBERS = ("tokens", "latency_ms", "first_token_ms", "confidence")


def row(
    source: str,
    native: str,
    at: float,
    messages: Sequence[Message],
    answer: str,
    feedback: Said | None = None,
    **more: Any,
) -> Row:
    """An interaction as a dictionary; what is not known is left out.

    Args:
        source: the name of the source, `kind:where`; its kind is part of the id.
        native: what the program itself calls the interaction.
        at: when it was asked, in seconds since 1970.
        messages: what was asked.
        answer: what the model said.
        feedback: what people said about it, as `said` makes it.
        **more: further fields of an interaction.

    Raises:
        ValueError: nothing was asked.
    """
    if not messages:
        raise ValueError("nothing was asked")
    known = {key: _fitting(key, value) for key, value in more.items() if value is not None}
    known = {key: value for key, value in known.items() if value is not None}
    success = _success(feedback or {}, known.get("error"))
    return {
        "id": content_id(source.partition(":")[0], native),
        "source": source,
        "at": at,
        "messages": list(messages),
        "answer": answer,
        **({} if success is None else {"success": success}),
        **({"feedback": feedback} if feedback else {}),
        **known,
    }


def said(answer: str, **fields: Any) -> Said | None:
    """Feedback without what was not said; a better answer that is the answer itself is none. None if nothing is left.

    `at` alone says nothing.
    """
    feedback = {key: _fitting(key, value) for key, value in fields.items() if value not in (None, "")}
    for key in ("edited", "preferred"):
        if key in feedback and (feedback[key] == answer or len(feedback[key]) > _LONGEST_ANSWER):
            del feedback[key]
    return feedback if feedback.keys() - {"at"} else None


def in_window(each: Row, since: float, until: float) -> bool:
    """Whether it was asked in the window, or something was said about it then."""
    spoken = (each.get("feedback") or {}).get("at")
    return since <= each["at"] < until or (spoken is not None and since <= spoken < until)


def last_of_each(read: Callable[[Problems], Iterator[Placed]], problems: Problems) -> Iterator[Row]:
    """The rows with each id once, the last that has it; the others are counted.

    `read` is called twice, so that no more than the ids is kept in memory, and must yield the same both times.
    """
    last: dict[str, int] = {}
    for number, (place, each) in enumerate(read(problems)):
        if each["id"] in last:
            problems.add("id seen before: the last one counts", place)
        last[each["id"]] = number
    for number, (_, each) in enumerate(read(Problems())):
        if last.get(each["id"], number) == number:
            yield each


def why(error: Exception) -> str:
    """A reason for `Problems`: our own words, or that the shape is foreign."""
    return str(error) if type(error) is ValueError else "not in a shape that is known"


def named(kind: str, paths: Sequence[Path]) -> str:
    """`kind:file`, or `kind:folder/` for several files."""
    where = paths[0].name if len(paths) == 1 else f"{paths[0].parent.name}/"
    return f"{kind}:{where}"


def _fitting(key: str, value: Any) -> Any:
    """A value in the type that an interaction wants; a number that is none is not known."""
    if key in _TEXTS:
        return str(value)
    if key in ("comment", "error"):
        return str(value)[:_LONGEST]
    if key not in _NUMBERS:
        return value
    number = isinstance(value, int | float) and math.isfinite(value)
    return (int(value) if key == "tokens" else value) if number else None


def _success(feedback: Said, error: str | None) -> bool | None:
    if feedback.get("edited") or feedback.get("preferred"):
        return False
    if "success" in feedback:
        return bool(feedback["success"])
    if "thumb" in feedback:
        return bool(feedback["thumb"] > 0)
    return False if error else None
