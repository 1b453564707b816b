"""What a LiteLLM proxy logs through its `generic_api` callback: `StandardLoggingPayload`s, successes and failures.

JSON lines, or the batches of the proxy as JSON lists. There is no feedback in them. Not fit: `LiteLLM_SpendLogs`, where
prompts and answers are cut to 2,048 characters.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pipeline.backends.sources import exports, interactions, moments
from pipeline.backends.sources.conversation import answer, messages, words
from pipeline.backends.sources.interface import Row
from pipeline.lib.problems import Problems

_REDACTED = "redacted-by-litellm"
_OTHER_CALLS = ("embedding", "image", "speech", "transcription", "moderation", "rerank", "passthrough", "pass_through")


class LiteLlmLog:
    """See `pipeline.backends.sources.interface.Source`."""

    kind: ClassVar[str] = "litellm"

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.name = interactions.named(self.kind, paths)

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every call of the window, the failed ones with their error and an empty answer."""
        yield from interactions.last_of_each(partial(self._calls, since, until), problems)

    def _calls(self, since: float, until: float, problems: Problems) -> Iterator[interactions.Placed]:
        for place, record in exports.read(self.paths, problems):
            if any(word in str(record.get("call_type")) for word in _OTHER_CALLS):
                continue
            try:
                each = self._row(record)
            except interactions.UNREADABLE as error:
                problems.add(interactions.why(error), place)
                continue
            if interactions.in_window(each, since, until) and (each["answer"] or each.get("error")):
                yield place, each

    def _row(self, record: dict[str, Any]) -> Row:
        begin, end = moments.seconds(record["startTime"]), moments.optional(record.get("endTime"))
        first = moments.optional(record.get("completionStartTime")) if record.get("stream") else None
        metadata = record.get("metadata") or {}
        took = record.get("response_time")
        asked = messages(record.get("messages"))
        if any(_REDACTED in each["content"] for each in asked):
            raise ValueError("prompts are not logged (turn_off_message_logging)")
        return interactions.row(
            self.name,
            str(record["id"]),
            begin,
            asked,
            answer(record.get("response")),
            user=record.get("end_user") or metadata.get("user_api_key_end_user_id") or None,
            session=record.get("session_id") or record.get("trace_id") or None,
            model=record.get("model_group") or record.get("model"),
            latency_ms=took * 1000 if took else moments.milliseconds(begin, end),
            first_token_ms=moments.milliseconds(begin, first),
            tokens=record.get("completion_tokens") or None,
            error=_error(record) if record.get("status") == "failure" else None,
        )


def _error(record: dict[str, Any]) -> str:
    """What failed: the class and the message, never the traceback."""
    told = record.get("error_information") or {}
    text = words(record.get("error_str")) or words(told.get("error_message")) or "failed"
    name = told.get("error_class")
    return text if not name or name in text else f"{name}: {text}"
