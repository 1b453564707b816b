"""Questions with a check: the hold-out, and the canary tasks. Neither is ever trained on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError
from pipeline.lib.text import normalize

SHIPPED_CANARY = Path(__file__).parent.parent / "starter" / "canary.jsonl"


def key(row: dict[str, Any]) -> str:
    """What makes two questions the same: everything said, normalised."""
    return "\n".join(f"{message['role']}: {normalize(message['content'])}" for message in row["messages"])


def read_holdout(settings: Settings) -> Iterator[dict[str, Any]]:
    """The hold-out; empty when there is none."""
    yield from _read(settings.home / settings.dataset.holdout)


def read_canary(settings: Settings) -> Iterator[dict[str, Any]]:
    """The user's canary tasks, else the 20 that ship with the starter.

    Raises:
        BadRecordError: a task without id, or an id that stands twice.
    """
    path = settings.home / settings.canary.tasks if settings.canary.tasks else SHIPPED_CANARY
    if not path.is_file():
        raise BadRecordError(f"no canary tasks at {path}", "correct canary.tasks, or leave it out for the shipped ones")
    seen: set[str] = set()
    for number, row in enumerate(_read(path), start=1):
        identity = str(row.get("id", ""))
        if not identity or identity in seen:
            raise BadRecordError(f"{path} task {number}: id {identity!r} is missing or stands twice")
        seen.add(identity)
        yield row


def _read(path: Path) -> Iterator[dict[str, Any]]:
    for number, row in jsonl.read_numbered(path):
        messages = row.get("messages")
        fine = (
            isinstance(messages, list)
            and messages
            and all(
                isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
                for m in messages
            )
        )
        if not fine or not isinstance(row.get("check"), dict):
            raise BadRecordError(f"{path} line {number}: a question needs messages and a check", "see docs/formats.md")
        yield row
