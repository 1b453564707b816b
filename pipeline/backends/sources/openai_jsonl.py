"""Plain OpenAI-style JSONL, in the shapes that people have:

    {"messages": [… , {"role": "assistant", …}]}
    {"request": {"messages": […]}, "response": {"choices": [{"message": …}]}}
    {"prompt": "…", "completion": "…"}

Besides these, the fields of an interaction are understood where present (`at` or `created`, `user`, `session`,
`success`, `error`, `confidence`, `check`, `feedback`, or a bare `thumb`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.lib import jsonl
from pipeline.lib.errors import BadRecordError
from pipeline.lib.records import Interaction, Message, content_id

_CARRIED = ("user", "session", "model", "success", "error", "confidence", "check", "tokens", "latency_ms")


class OpenAiJsonl:
    """See `pipeline.backends.sources.interface.Source`. One file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"openai-jsonl:{path.name}"

    def interactions(self, since: float, until: float) -> Iterator[Interaction]:
        """Rows without a time count as asked when the file was last written."""
        modified = self.path.stat().st_mtime
        for number, record in jsonl.read_numbered(self.path):
            try:
                interaction = self._interaction(record, modified)
            except (ValidationError, KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise BadRecordError(
                    f"{self.path} line {number}: not one of the known shapes ({reason})", "see docs/formats.md"
                ) from error
            if since <= interaction.at < until:
                yield interaction

    def _interaction(self, record: dict[str, Any], modified: float) -> Interaction:
        messages, answer = _conversation(record)
        at = float(record.get("at", record.get("created", modified)))
        feedback = record.get("feedback") or ({"thumb": record["thumb"]} if "thumb" in record else None)
        interaction = Interaction.model_validate(
            {
                "id": content_id(messages, answer, record.get("user"), record.get("session"), record.get("id")),
                "source": self.name,
                "at": at,
                "messages": messages,
                "answer": answer,
                "feedback": feedback,
                **{key: record[key] for key in _CARRIED if record.get(key) is not None},
            }
        )
        if interaction.success is None and interaction.feedback and interaction.feedback.thumb:
            interaction.success = interaction.feedback.thumb > 0
        return interaction


def _conversation(record: dict[str, Any]) -> tuple[list[Message], str]:
    """What was asked, and the answer."""
    if "messages" in record:
        messages = [_plain(message) for message in record["messages"]]
        if not messages or messages[-1]["role"] != "assistant":
            raise ValueError("the last message is not the assistant's")
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
