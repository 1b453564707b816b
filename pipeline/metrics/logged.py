"""Lines of `logs/interactions/` → rows: what the gateway records, and what a rebuild reads again, are the same rows."""

from collections.abc import Mapping
from typing import Any

from pipeline.metrics.rows import FeedbackMetric, QueryMetric

_UNKNOWN = "error"  # older logs have the message of an error, which is somebody's words, and not its kind


def query(line: Mapping[str, Any]) -> QueryMetric:
    """The row of an interaction.

    Args:
        line: its fields, as `records.Interaction` names them.

    Raises:
        KeyError, TypeError, AttributeError: it has no id or moment, or no shape of an interaction.
    """
    retrieved = line.get("retrieval") or {}
    return QueryMetric(
        line["id"],
        line["at"],
        line.get("model") or "unknown",
        line.get("adapter"),
        line.get("latency_ms"),
        line.get("first_token_ms"),
        line.get("tokens") or None,  # engines that do not tell are logged with none
        line.get("confidence"),
        line.get("success"),
        None if line.get("error") is None else line.get("error_kind") or _UNKNOWN,
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
