"""Exported runs and feedback of LangSmith (JSON or JSON lines, in one file or several).

Runs of the type `llm` are answers. Feedback on one of them, or on its trace, counts when it comes from people (not from
a model that judges): those with a person's name are thumbs (see `persons`), `correction` is what a person wrote
instead, and every comment counts.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pipeline.backends.sources import exports, interactions, moments
from pipeline.backends.sources.conversation import answer, messages, words
from pipeline.backends.sources.interface import Row
from pipeline.backends.sources.traces import Score, Scores
from pipeline.lib.problems import Problems

_MACHINES = ("model", "auto_eval", "evaluator")
_SESSIONS = ("session_id", "thread_id", "conversation_id")


class LangSmith:
    """See `pipeline.backends.sources.interface.Source`."""

    kind: ClassVar[str] = "langsmith"

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.name = interactions.named(self.kind, paths)

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every run of the window, and earlier ones that were rated in it; the files are read three times."""
        scores = Scores()
        for place, record in exports.read(self.paths, problems):
            try:
                _learn(record, scores)
            except interactions.UNREADABLE as error:
                problems.add(interactions.why(error), place)
        read = partial(self._runs, scores, since, until)
        yield from interactions.last_of_each(read, problems)

    def _runs(self, scores: Scores, since: float, until: float, problems: Problems) -> Iterator[interactions.Placed]:
        for place, record in exports.read(self.paths, Problems()):
            if record.get("run_type") != "llm" or moments.optional(record.get("start_time")) is None:
                continue
            try:
                each = self._row(record, scores)
            except interactions.UNREADABLE as error:
                problems.add(interactions.why(error), place)
                continue
            if interactions.in_window(each, since, until) and (each["answer"] or each.get("error")):
                yield place, each

    def _row(self, record: dict[str, Any], scores: Scores) -> Row:
        identity, trace = str(record["id"]), record.get("trace_id")
        begin = moments.seconds(record["start_time"])
        output = answer(record.get("outputs"))
        metadata = (record.get("extra") or {}).get("metadata") or {}
        return interactions.row(
            self.name,
            identity,
            begin,
            messages(record.get("inputs")),
            output,
            scores.about(identity, trace, output),
            user=metadata.get("user_id"),
            session=next((str(metadata[key]) for key in _SESSIONS if metadata.get(key)), trace),
            model=metadata.get("ls_model_name") or record.get("name"),
            latency_ms=moments.milliseconds(begin, moments.optional(record.get("end_time"))),
            first_token_ms=moments.milliseconds(begin, moments.optional(record.get("first_token_time"))),
            tokens=record.get("completion_tokens"),
            error=words(record.get("error")),
        )


def _learn(record: dict[str, Any], scores: Scores) -> None:
    if "run_type" in record:
        if record["run_type"] == "llm":
            scores.saw(record.get("trace_id"), str(record["id"]), moments.seconds(record["start_time"]))
        elif not record.get("parent_run_id"):
            scores.roots[str(record.get("trace_id"))] = str(record["id"])
        return
    if "key" not in record or "id" not in record:
        raise ValueError("neither a run nor feedback")
    source = record.get("feedback_source") or {}
    if source.get("type") in _MACHINES:
        return
    score, value = record.get("score"), record.get("value")
    scores.add(
        Score(
            str(record["id"]),
            record.get("run_id"),
            record.get("trace_id"),
            str(record["key"]),
            moments.optional(record.get("modified_at") or record.get("created_at")),
            value if score is None else score,
            record.get("comment"),
            record.get("correction"),
        )
    )
