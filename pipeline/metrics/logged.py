"""Lines of `logs/interactions/` → rows: what the gateway records, and what a rebuild reads again, are the same rows."""

from collections.abc import Mapping
from typing import Any

from pipeline.metrics.rows import FeedbackMetric, QueryMetric

_UNKNOWN = "error"  # lines of earlier versions have no kind of an error, only its message, which is somebody's words


def query(line: Mapping[str, Any]) -> QueryMetric:
    """The row of an interaction; how long it took until there was no answer is no time of an answer.

    Args:
        line: its fields, as `records.Interaction` names them, and `error_kind`, where that is known.

    Raises:
        KeyError, TypeError, AttributeError: it has no id or moment, or no shape of an interaction.
    """
    retrieved = line.get("retrieval") or {}
    error = None if line.get("error") is None else line.get("error_kind") or _UNKNOWN
    return QueryMetric(
        line["id"],
        line["at"],
        line.get("model") or "unknown",
        line.get("adapter"),
        line.get("latency_ms") if error is None else None,
        line.get("first_token_ms"),
        line.get("tokens") or None,  # engines that do not tell are logged with none
        line.get("confidence"),
        line.get("success"),
        error,
        retrieved.get("history", 0),
        retrieved.get("tools", 0),
    )


def feedback(line: Mapping[str, Any], agent: str) -> FeedbackMetric:
    """The row of a feedback line; `agent` is the model that answered.

    Raises:
        KeyError: it says nothing of its interaction or moment.
    """
    return FeedbackMetric(
        line["interaction_id"],
        line["at"],
        agent,
        line.get("thumb"),
        bool(line.get("comment")),
        bool(line.get("edited")),
        line.get("success"),
    )
