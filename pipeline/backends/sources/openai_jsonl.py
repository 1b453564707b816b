"""Plain OpenAI-style JSONL, in the shapes that people have:

    {"messages": [… , {"role": "assistant", …}]}
    {"request": {"messages": […]}, "response": {"choices": [{"message": …}]}}
    {"prompt": "…", "completion": "…"}

Besides these, the fields of an interaction are understood where present (`at` or `created`, `user`, `session`,
`success`, `error`, `confidence`, `check`, `feedback`, or a bare `thumb`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

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
            except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
                problems.add("not one of the known shapes", f"{self.path.name} record {number} ({error})")
                continue
            if since <= row["at"] < until:
                yield row

    def _row(self, record: dict[str, Any], modified: float) -> Row:
        messages, answer = _conversation(record)
        feedback = record.get("feedback") or ({"thumb": record["thumb"]} if "thumb" in record else None)
        row = {
            "id": content_id(messages, answer, record.get("user"), record.get("session"), record.get("id")),
            "source": self.name,
            "at": _moment(record.get("at", record.get("created", modified))),
            "messages": messages,
            "answer": answer,
            "feedback": feedback,
            **{key: record[key] for key in _CARRIED if record.get(key) is not None},
        }
        if row.get("success") is None and feedback and feedback.get("thumb"):
            row["success"] = feedback["thumb"] > 0
        return row


def _moment(written: Any) -> float:
    """Seconds since 1970, or a date and time (UTC unless it says otherwise)."""
    if not isinstance(written, str):
        return float(written)
    moment = datetime.fromisoformat(written)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


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
