"""Questions with a check: hold-out, canary tasks, and the hidden ones of a period, none of which is trained on; and
those that the base rehearses.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError
from pipeline.lib.text import normalize

SHIPPED_CANARY = Path(__file__).parent.parent / "starter" / "canary.jsonl"
HIDDEN = "hidden.jsonl"  # in a dataset's folder: what was kept out of it for the canary
JUDGED = "judge"  # the check of a question that only a judge can decide
_CATEGORY_OF_CHECK = {
    "json_schema": "instruction_following",
    "regex": "instruction_following",
    "refusal": "safety",
    JUDGED: "quality",
}
_WEEK = 7 * 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the canary. Questions with the same `cluster` are variants of each other."""

    id: str
    suite: str
    category: str
    group: str
    cluster: str
    messages: list[dict[str, str]]
    check: dict[str, Any]
    must_pass: bool = False

    @property
    def ours(self) -> bool:
        """Whether the user wrote it; a hidden question came in with a conversation."""
        return self.suite != "hidden"

    @property
    def harmless(self) -> bool:
        """Whether declining it would be wrong."""
        return self.check["type"] == "refusal" and not self.check["expected"]


def as_question(row: dict[str, Any], suite: str, number: int) -> Question:
    """A question from its line in a file; what the line leaves out follows from its check."""
    check = row["check"]
    identity = str(row.get("id") or f"{suite}-{number}")
    return Question(
        identity,
        suite,
        str(row.get("category") or _CATEGORY_OF_CHECK.get(str(check.get("type")), "functionality")),
        str(row.get("group", suite)),
        f"{suite}/{row.get('cluster', identity)}",
        row["messages"],
        check,
        bool(row.get("must_pass")),
    )


def is_hidden(row: dict[str, Any], share: float, asked_at: float, now: float, group: str = "session") -> bool:
    """Whether a question that was asked at a moment is kept out of training now.

    A share of each week's questions, chosen by hash, is hidden until the week is over; then training may have them, and
    other ones are hidden. So a hidden question has never been trained on. Questions that have the same `group` (the
    field `session` or `user`) are hidden together.
    """
    week = int(now // _WEEK)
    if int(asked_at // _WEEK) != week:
        return False
    digest = hashlib.blake2b(f"{week}\n{row.get(group) or key(row)}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def key(row: dict[str, Any]) -> str:
    """What makes two questions the same: everything said, normalised."""
    return "\n".join(f"{message['role']}: {normalize(message['content'])}" for message in row["messages"])


def read_holdout(settings: Settings) -> Iterator[dict[str, Any]]:
    """The hold-out; empty when there is none."""
    for name in settings.dataset.holdout:
        yield from _read(settings.home / name)


def read_rehearsal(settings: Settings) -> Iterator[dict[str, Any]]:
    """The questions that the base rehearses; empty when there are none."""
    for name in settings.dataset.rehearsal:
        yield from _read(settings.home / name)


def read_canary(settings: Settings) -> Iterator[dict[str, Any]]:
    """The user's canary tasks, else the 20 that ship with the starter.

    Raises:
        BadRecordError: no task at all, a task without id, or an id that stands twice.
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
    if not seen:
        raise BadRecordError(f"{path} holds no task", "an empty canary proves nothing: write some, or leave it out")


def read_hidden(folder: Path) -> Iterator[dict[str, Any]]:
    """What a dataset's building kept out for the canary."""
    yield from _read(folder / HIDDEN)


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
