"""The log of `llm` up to 0.31: one row of `responses` an answer, the conversation being the rows before it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import orjson

from pipeline.backends.sources import interactions, moments, sqlite
from pipeline.backends.sources.interface import Row
from pipeline.lib.problems import Problems
from pipeline.lib.records import Message

_NEEDED = {"id", "prompt", "response", "datetime_utc"}
_WANTED = (
    "id",
    "model",
    "resolved_model",
    "prompt",
    "system",
    "response",
    "conversation_id",
    "duration_ms",
    "datetime_utc",
    "output_tokens",
)


def read(
    database: sqlite3.Connection,
    path: Path,
    source: str,
    since: float,
    until: float,
    problems: Problems,
    known: set[str],
) -> Iterator[Row]:
    """The answers of a window; rows with a `known` id have been read from the newer tables."""
    present = sqlite.require(database, path, "responses", _NEEDED, "llm")
    reader = _Reader(database)
    for row in database.execute("SELECT id, datetime_utc FROM responses ORDER BY id").fetchall():
        identity = str(row["id"])
        try:
            at = moments.seconds(row["datetime_utc"])
            if since <= at < until and identity not in known:
                query = f"{sqlite.selected('responses', present, _WANTED)} WHERE id = ?"
                each = database.execute(query, (row["id"],)).fetchone()
                if each["response"]:
                    yield _row(source, each, at, reader.asked(each, present))
        except interactions.UNREADABLE as error:
            problems.add(interactions.why(error), f"{path.name} response {identity}")


def _row(source: str, each: sqlite3.Row, at: float, messages: list[Message]) -> Row:
    if isinstance(each["response"], bytes):
        raise ValueError("not UTF-8")
    return interactions.row(
        source,
        str(each["id"]),
        at,
        messages,
        each["response"],
        session=each["conversation_id"],
        model=each["resolved_model"] or each["model"],
        latency_ms=each["duration_ms"],
        tokens=each["output_tokens"],
    )


class _Reader:
    """What was asked: the rows before, the fragments and the tools' results, as far as this version has them."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._tables = {
            table
            for table in ("fragments", "prompt_fragments", "system_fragments", "tool_calls", "tool_results")
            if sqlite.columns(database, table)
        }

    def asked(self, row: sqlite3.Row, present: set[str]) -> list[Message]:
        """The conversation up to and including this row's question."""
        earlier: list[sqlite3.Row] = []
        if row["conversation_id"] is not None:
            query = f"{sqlite.selected('responses', present, _WANTED)} WHERE conversation_id = ? AND id < ? ORDER BY id"
            earlier = self._database.execute(query, (row["conversation_id"], row["id"])).fetchall()
        messages: list[Message] = []
        for each in [*earlier, row]:
            question = self._question(each)
            if question and question[0] in messages:
                question = question[1:] if question[0]["role"] == "system" else question
            messages += question
            if each is not row:
                messages += self._reply(each)
        return messages

    def _question(self, row: sqlite3.Row) -> list[Message]:
        system = "\n".join([*self._used("system_fragments", row["id"]), *([row["system"]] if row["system"] else [])])
        prompt = "\n".join([*self._used("prompt_fragments", row["id"]), *([row["prompt"]] if row["prompt"] else [])])
        results = self._tools("tool_results", "output", row["id"])
        said = [("system", system), *(("tool", each["output"]) for each in results), ("user", prompt)]
        return [{"role": role, "content": str(text)} for role, text in said if text]

    def _reply(self, row: sqlite3.Row) -> list[Message]:
        calls = [
            {"name": each["name"], "arguments": each["arguments"]}
            for each in self._tools("tool_calls", "arguments", row["id"])
        ]
        text = row["response"] or (orjson.dumps(calls).decode() if calls else "")
        return [{"role": "assistant", "content": text}] if text else []

    def _used(self, table: str, identity: str) -> list[str]:
        if not {table, "fragments"} <= self._tables:
            return []
        query = (
            f"SELECT content FROM {table} JOIN fragments ON fragments.id = fragment_id "
            'WHERE response_id = ? ORDER BY "order"'
        )
        return [str(row["content"]) for row in self._database.execute(query, (identity,))]

    def _tools(self, table: str, column: str, identity: str) -> list[sqlite3.Row]:
        if table not in self._tables:
            return []
        query = f"SELECT name, {column} FROM {table} WHERE response_id = ? ORDER BY id"
        return self._database.execute(query, (identity,)).fetchall()
