"""Open WebUI's database, `webui.db`: chats with their branches, thumbs with reasons, and what people wrote instead.

The history in `chat.chat` counts; the mirror table `chat_message` gives what the history lacks (when a message was
changed), and stands in for a history that is empty. Chats that people deleted are gone, even where a rating has kept
a picture of them. Copies of a chat that were made to share it are left out, and of a clone what it has in common with
the chat it was made of. What becomes of one answer is told in `open_webui_answers`.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import orjson

from pipeline.backends.sources import exports, interactions, moments, sqlite
from pipeline.backends.sources.interface import Row
from pipeline.backends.sources.open_webui_answers import Chat, answers
from pipeline.lib.problems import Problems

_MIRRORED = ("id", "chat_id", "role", "parent_id", "content", "model_id", "error", "usage", "created_at", "updated_at")
_SHARED = "shared-"  # the owner of a copy that was made to share a chat, in versions without `shared_chat`
_DAY = 86_400.0  # message times are the browser's clock, those of the chat the server's


class OpenWebUi:
    """See `pipeline.backends.sources.interface.Source`."""

    kind: ClassVar[str] = "open-webui"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = interactions.named(self.kind, [path])

    @staticmethod
    def standard_places(environ: Mapping[str, str], user_home: Path) -> list[Path]:
        """`DATA_DIR`, the folders that people mount, and the one inside the installed package."""
        home = Path(environ.get("NIGHTSCHOOL_HOME") or ".")
        folders = [user_home / ".open-webui", user_home / "open-webui" / "data", home / "data"]
        package = find_spec("open_webui")
        if package and package.origin:
            folders.append(Path(package.origin).parent / "data")
        configured = [Path(environ["DATA_DIR"])] if environ.get("DATA_DIR") else []
        return [folder / "webui.db" for folder in (*configured, *folders)]

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every answer that was given, rated, edited or replaced in the window."""
        with sqlite.opened(self.path) as database:
            reader = _Reader(database, self.path, problems)
            for identity in reader.touched(since):
                try:
                    found = answers(self.name, reader.chat(identity), problems)
                except interactions.UNREADABLE as error:
                    problems.add(interactions.why(error), f"{self.path.name} chat {identity}")
                    continue
                yield from (each for each in found if interactions.in_window(each, since, until))


class _Reader:
    """The rows of the database that belong to one chat, put together."""

    def __init__(self, database: sqlite3.Connection, path: Path, problems: Problems) -> None:
        present = sqlite.require(database, path, "chat", {"id", "chat"}, "Open WebUI")
        self._database = database
        self._problems = problems
        self._path = path
        self._times = sqlite.selected("chat", present, ("id", "user_id", "updated_at"))
        self._chats = sqlite.selected("chat", present, ("id", "user_id", "chat", "updated_at"))
        self._feedback = self._query("feedback", "id", "data", "meta", "created_at", "updated_at")
        self._pictures = self._query("feedback", "snapshot", "created_at")
        self._mirror = self._query("chat_message", *_MIRRORED)
        self._rated = self._ratings()

    def touched(self, since: float) -> list[str]:
        """The chats that may have changed since then; those whose time cannot be read may, too."""
        found = []
        for row in self._database.execute(self._times):
            if str(row["user_id"]).startswith(_SHARED):
                continue
            changed = moments.optional(row["updated_at"])
            said = [moments.optional(each["updated_at"]) for each in self._rated.get(str(row["id"]), [])]
            last = moments.latest(changed, *said)
            if changed is None or last is None or last >= since - _DAY:
                found.append(str(row["id"]))
        return found

    def chat(self, identity: str) -> Chat:
        """A chat with everything that is known about it.

        Raises:
            ValueError: its history cannot be read.
        """
        row = self._database.execute(f"{self._chats} WHERE id = ?", (identity,)).fetchone()
        history = _object(row["chat"], "the chat")
        mirror = self._mirrored(identity)
        messages, current = _messages(history)
        if not messages:
            messages, current = {key: _from_mirror(each) for key, each in mirror.items()}, None
        parameters = history.get("params")
        return Chat(
            identity,
            row["user_id"],
            messages,
            current or _newest(messages),
            (parameters if isinstance(parameters, dict) else {}).get("system") or None,
            {key: moments.optional(each["updated_at"]) for key, each in mirror.items()},
            moments.optional(row["updated_at"]),
            self._rated.get(identity, []),
            self._snapshots(identity),
            self._inherited(history.get("originalChatId")),
        )

    def _inherited(self, original: Any) -> set[str]:
        """The messages of the chat that this one was cloned from; they keep their ids."""
        row = self._database.execute(f"{self._chats} WHERE id = ?", (original,)).fetchone() if original else None
        return set(_messages(_object(row["chat"], "the chat"))[0]) if row else set()

    def _query(self, table: str, *wanted: str) -> str | None:
        present = sqlite.columns(self._database, table)
        return sqlite.selected(table, present, wanted) if "id" in present else None

    def _ratings(self) -> dict[str, list[dict[str, Any]]]:
        """What people said, by chat, the last word last."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self._database.execute(self._feedback) if self._feedback else ():
            try:
                meta, data = _object(row["meta"], "a rating"), _object(row["data"], "a rating")
            except ValueError as error:
                self._problems.add(interactions.why(error), f"{self._path.name} feedback {row['id']}")
                continue
            at = row["updated_at"] or row["created_at"]
            found.setdefault(str(meta.get("chat_id")), []).append(
                {"message_id": meta.get("message_id"), "id": row["id"], "updated_at": at, **data}
            )
        for each in found.values():
            each.sort(key=lambda said: moments.optional(said["updated_at"]) or 0.0)
        return found

    def _snapshots(self, identity: str) -> list[dict[str, Any]]:
        """The messages of a chat as they were when something was rated, the earliest first."""
        found = []
        for said in self._rated.get(identity, []):
            row = self._database.execute(f"{self._pictures} WHERE id = ?", (said["id"],)).fetchone()
            try:
                chat = _object(row["snapshot"], "a snapshot").get("chat") or {}
                found.append((moments.optional(row["created_at"]) or 0.0, _messages(chat.get("chat") or {})[0]))
            except interactions.UNREADABLE as error:
                self._problems.add(interactions.why(error), f"{self._path.name} feedback {said['id']}")
        return [messages for _, messages in sorted(found, key=lambda pair: pair[0])]

    def _mirrored(self, identity: str) -> dict[str, sqlite3.Row]:
        """The rows of the mirror table by the message's own id."""
        if self._mirror is None:
            return {}
        found = self._database.execute(f"{self._mirror} WHERE chat_id = ? ORDER BY created_at", (identity,))
        return {str(row["id"]).removeprefix(f"{identity}-"): row for row in found}


def _object(text: Any, what: str) -> dict[str, Any]:
    """A JSON column as an object; NULL is an empty one."""
    if isinstance(text, bytes):
        raise ValueError(f"{what} is not UTF-8")
    if text and len(text) > exports.LARGEST:
        raise ValueError(f"{what} has more than 16 MB")
    try:
        value = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{what} is not JSON") from error
    if not isinstance(value, dict | None):
        raise ValueError(f"{what} is no JSON object")
    return value or {}


def _messages(chat: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], str | None]:
    """The messages by id, and the one that is shown last. The oldest versions kept a plain list."""
    history = chat.get("history")
    if isinstance(history, dict) and history.get("messages"):
        messages = {str(key): each for key, each in history["messages"].items() if isinstance(each, dict)}
        return messages, history.get("currentId")
    found: dict[str, dict[str, Any]] = {}
    before = None
    for number, each in enumerate(chat.get("messages") or []):
        identity = str(each.get("id") or number)
        found[identity] = {"parentId": before, **each}
        before = identity
    return found, before


def _from_mirror(row: sqlite3.Row) -> dict[str, Any]:
    found = {key: orjson.loads(row[key]) if row[key] else None for key in ("content", "error", "usage")}
    return found | {
        "role": row["role"],
        "parentId": row["parent_id"],
        "model": row["model_id"],
        "timestamp": row["created_at"],
    }


def _newest(messages: dict[str, dict[str, Any]]) -> str | None:
    return max(messages, key=lambda key: moments.optional(messages[key].get("timestamp")) or 0.0, default=None)
