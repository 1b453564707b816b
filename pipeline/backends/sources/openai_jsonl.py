"""Plain OpenAI-style JSONL, in the shapes that people have:

    {"messages": [… , {"role": "assistant", …}]}
    {"request": {"messages": […]}, "response": {"choices": [{"message": …}]}}
    {"prompt": "…", "completion": "…"}

Besides these, the fields of an interaction are understood where present (`at` or `created`, in any form of
`pipeline.backends.sources.moments`, `user`, `session`,
`success`, `error`, `confidence`, `check`, `feedback`, or a bare `thumb`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pipeline.backends.sources import interactions, moments
from pipeline.backends.sources.interface import Row
from pipeline.lib import jsonl
from pipeline.lib.problems import Problems
from pipeline.lib.records import Message, content_id

_CARRIED = ("user", "session", "model", "success", "error", "confidence", "check", "tokens", "latency_ms")


class OpenAiJsonl:
    """See `pipeline.backends.sources.interface.Source`. One file."""

    kind: ClassVar[str] = "openai-jsonl"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"{self.kind}:{path.name}"

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Rows without a time count as asked when the file was last written."""
        modified = self.path.stat().st_mtime if self.path.exists() else 0.0
        for number, record in enumerate(jsonl.read_tolerant(self.path, problems), start=1):
            try:
                row = self._row(record, modified)
                wanted = interactions.in_window(row, since, until)
            except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
                problems.add("not one of the known shapes", f"{self.path.name} record {number} ({error})")
                continue
            if wanted:
                yield row

    def _row(self, record: dict[str, Any], modified: float) -> Row:
        messages, answer = _conversation(record)
        feedback = _feedback(record)
        moment = next((record[key] for key in ("at", "created") if record.get(key) is not None), modified)
        row = {
            "id": content_id(messages, answer, record.get("user"), record.get("session"), record.get("id")),
            "source": self.name,
            "at": moments.seconds(moment),
            "messages": messages,
            "answer": answer,
            "feedback": feedback,
            **{key: record[key] for key in _CARRIED if record.get(key) is not None},
        }
        if row.get("success") is None and feedback and feedback.get("thumb"):
            row["success"] = feedback["thumb"] > 0
        return row


def _feedback(record: dict[str, Any]) -> dict[str, Any] | None:
    """What was said about the answer; `at`, in any form that a time may have, comes out in seconds."""
    said: dict[str, Any] | None = record.get("feedback")
    if not said:
        return {"thumb": record["thumb"]} if "thumb" in record else None
    return said if said.get("at") is None else {**said, "at": moments.optional(said["at"])}


def _conversation(record: dict[str, Any]) -> tuple[list[Message], str]:
    """What was asked, and the answer."""
    if "messages" in record:
        messages = [_plain(message) for message in record["messages"]]
        if len(messages) < 2 or messages[-1]["role"] != "assistant":
            raise ValueError("no question with the assistant's answer behind it")
        return messages[:-1], messages[-1]["content"]
    if "request" in record:
        asked = [_plain(message) for message in record["request"]["messages"]]
        return asked, _plain(record["response"]["choices"][0]["message"])["content"]
    return [{"role": "user", "content": str(record["prompt"])}], str(record["completion"])


def _plain(message: dict[str, Any]) -> Message:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content)
    return {"role": str(message["role"]), "content": str(content)}
