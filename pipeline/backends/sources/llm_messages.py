"""The tree of messages in the log of `llm` from 0.32 on: each message names its parent, and its parts hold the text."""

import sqlite3
from pathlib import Path
from typing import Any

import orjson

from pipeline.backends.sources import sqlite
from pipeline.backends.sources.conversation import called, text_of
from pipeline.lib.records import Message


class Tree:
    """Reads messages as they are needed; those of a conversation are read once."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        sqlite.require(database, path, "messages", {"hash", "parent_hash", "role"}, "llm")
        present = sqlite.require(database, path, "parts", {"message_hash", "position", "type", "text"}, "llm")
        wanted = ("position", "type", "tool_name", "text", "payload")
        self._database = database
        self._parts = f"{sqlite.selected('parts', present, wanted)} WHERE message_hash = ? ORDER BY position"
        self._fragments = bool(sqlite.columns(database, "fragments"))
        self._parents: dict[str, str | None] = {}
        self._messages: dict[str, Message] = {}

    def way(self, tip: str | None) -> list[str]:
        """The hashes from a message up to the first one.

        Raises:
            ValueError: one of them is missing, or they go in a circle.
        """
        found: dict[str, None] = {}
        while tip is not None:
            if tip in found:
                raise ValueError("messages that go in a circle")
            found[tip] = None
            tip = self._parent(tip)
        return list(found)

    def chain(self, tip: str | None) -> list[Message]:
        """The messages from the first one to this."""
        spoken = [self._message(each) for each in reversed(self.way(tip))]
        return [each for each in spoken if each["content"]]

    def between(self, tip: str, parent: str | None) -> str:
        """What the model said in words between two messages, the first excluded."""
        hashes = []
        for each in self.way(tip):
            if each == parent:
                break
            hashes.append(each)
        texts = [self._words(each) for each in reversed(hashes)]
        return "\n".join(text for text in texts if text)

    def _parent(self, identity: str) -> str | None:
        if identity not in self._parents:
            row = self._database.execute("SELECT parent_hash FROM messages WHERE hash = ?", (identity,)).fetchone()
            if row is None:
                raise ValueError("a message that is not there")
            self._parents[identity] = row["parent_hash"]
        return self._parents[identity]

    def _message(self, identity: str) -> Message:
        if identity not in self._messages:
            role = self._database.execute("SELECT role FROM messages WHERE hash = ?", (identity,)).fetchone()["role"]
            parts = self._read_parts(identity)
            spoken = "".join(_said(part) for part in parts)
            self._messages[identity] = {"role": str(role), "content": spoken or called({"parts": parts})}
        return self._messages[identity]

    def _words(self, identity: str) -> str:
        """A message's text, if the model wrote it."""
        role = self._database.execute("SELECT role FROM messages WHERE hash = ?", (identity,)).fetchone()["role"]
        parts = self._read_parts(identity) if role == "assistant" else []
        return "".join(_said(part) for part in parts if part["type"] == "text")

    def _read_parts(self, identity: str) -> list[dict[str, Any]]:
        return [self._part(row) for row in self._database.execute(self._parts, (identity,))]

    def _part(self, row: sqlite3.Row) -> dict[str, Any]:
        if isinstance(row["text"], bytes) or isinstance(row["payload"], bytes):
            raise ValueError("not UTF-8")
        part = orjson.loads(row["payload"]) if row["payload"] else {}
        part |= {"type": row["type"], "name": row["tool_name"]}
        if row["text"] is not None:
            part["text"] = row["text"]
        elif "text_ref" in part:
            part["text"] = "".join(self._piece(piece) for piece in part["text_ref"])
        return part

    def _piece(self, piece: dict[str, Any]) -> str:
        """A literal, or a fragment that is stored once for many messages."""
        if "literal" in piece or not self._fragments:
            return str(piece.get("literal", ""))
        row = self._database.execute("SELECT content FROM fragments WHERE id = ?", (piece["fragment"],)).fetchone()
        return text_of(row["content"]) if row else ""


def _said(part: dict[str, Any]) -> str:
    if part["type"] == "text":
        return str(part.get("text", ""))
    return text_of(part.get("output")) if part["type"] == "tool_result" else ""
