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
from pipeline.lib.errors import BadRecordError, ConfigurationError
from pipeline.lib.text import normalize

SHIPPED_CANARY = Path(__file__).parent.parent / "starter" / "canary.jsonl"
OWN_CANARY = "canary.jsonl"  # in the home
_STARTER = "starter.json"  # beside a base model that `nightschool starter build` made
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
    other ones are hidden. Questions that have the same `group` (the field `session` or `user`) are hidden together.
    Whoever makes an exam of them leaves out those that were asked before, where they were not hidden, and learned.
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
    """The hold-out, by default the base model's own; empty when there is none.

    Raises:
        ConfigurationError: a file of the settings is not there.
    """
    yield from _read_all(settings, "holdout", settings.dataset.holdout)


def read_rehearsal(settings: Settings) -> Iterator[dict[str, Any]]:
    """The questions that the base rehearses, by default its own; empty when there are none.

    Raises:
        ConfigurationError: a file of the settings is not there.
    """
    yield from _read_all(settings, "rehearsal", settings.dataset.rehearsal)


def _read_all(settings: Settings, kind: str, names: list[str] | None) -> Iterator[dict[str, Any]]:
    if names is None:
        yield from _read(Path(settings.base_folder) / f"{kind}.jsonl")
    for name in names or []:
        if not (settings.home / name).is_file():
            raise ConfigurationError(f"dataset.{kind} names {settings.home / name}, which is not there", "correct it")
        yield from _read(settings.home / name)


def canary_file(settings: Settings) -> Path | None:
    """Where the canary tasks are: in the file of the settings, in the user's own `canary.jsonl`, or with the starter.

    Returns: none where another base model is taught and nobody has written any: what ships is about the starter only.
    """
    if settings.canary.tasks:
        return settings.home / settings.canary.tasks
    if (own := settings.home / OWN_CANARY).is_file():
        return own
    return SHIPPED_CANARY if (Path(settings.base_folder) / _STARTER).is_file() else None


def read_canary(settings: Settings) -> Iterator[dict[str, Any]]:
    """The canary tasks; none where `canary_file` says that there are none.

    Raises:
        BadRecordError: a file without any task, a task without id, or an id that stands twice.
    """
    path = canary_file(settings)
    if path is None:
        return
    if not path.is_file():
        raise BadRecordError(f"no canary tasks at {path}", "correct canary.tasks, or leave it out")
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
