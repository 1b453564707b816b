"""Exported observations and scores of Langfuse (JSON or JSON lines, in one file or several, from the API or a bucket).

Observations of the type GENERATION are answers. Scores that evaluators gave (`source` EVAL) are not people's and are
left out. Of the others those with a person's name are thumbs (see `persons`), CORRECTION is what a person wrote
instead (`value`; before v3 `stringValue`), and every comment counts. A score on a whole session is about no answer.
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


class Langfuse:
    """See `pipeline.backends.sources.interface.Source`."""

    kind: ClassVar[str] = "langfuse"

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.name = interactions.named(self.kind, paths)

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every generation of the window, and earlier ones that were scored in it; the files are read three times."""
        scores = Scores()
        for place, record in exports.read(self.paths, problems):
            try:
                self._learn(record, scores)
            except interactions.UNREADABLE as error:
                problems.add(interactions.why(error), place)
        read = partial(self._generations, scores, since, until)
        yield from interactions.last_of_each(read, problems)

    def _learn(self, record: dict[str, Any], scores: Scores) -> None:
        if _is_score(record):
            if record.get("source") != "EVAL":
                scores.add(_score(record))
        elif _is_generation(record):
            scores.saw(_field(record, "traceId"), str(record["id"]), moments.seconds(_field(record, "startTime")))
        elif "type" in record and not _field(record, "parentObservationId"):
            scores.roots[str(_field(record, "traceId"))] = str(record["id"])
        elif not record.keys() & {"type", "timestamp", "traceId", "trace_id", "sessionId", "session_id"}:
            raise ValueError("neither an observation nor a score")

    def _generations(
        self, scores: Scores, since: float, until: float, problems: Problems
    ) -> Iterator[interactions.Placed]:
        for place, record in exports.read(self.paths, Problems()):
            if not _is_generation(record):
                continue
            try:
                moments.seconds(_field(record, "startTime"))
            except ValueError:
                continue  # named when it was read first
            try:
                each = self._row(record, scores)
            except interactions.UNREADABLE as error:
                problems.add(interactions.why(error), place)
                continue
            if interactions.in_window(each, since, until) and (each["answer"] or each.get("error")):
                yield place, each

    def _row(self, record: dict[str, Any], scores: Scores) -> Row:
        identity, trace = str(record["id"]), _field(record, "traceId")
        begin, end = moments.seconds(_field(record, "startTime")), moments.optional(_field(record, "endTime"))
        output = answer(record.get("output"))
        latency, first = record.get("latency"), _field(record, "timeToFirstToken")
        failed = record.get("level") == "ERROR"
        return interactions.row(
            self.name,
            identity,
            begin,
            messages(record.get("input")),
            output,
            scores.about(identity, trace, output),
            user=_field(record, "userId"),
            session=_field(record, "sessionId") or trace,
            model=record.get("model") or _field(record, "providedModelName"),
            latency_ms=moments.milliseconds(begin, end) or (float(latency) * 1000 if latency else None),
            first_token_ms=float(first) * 1000 if first else None,
            tokens=_tokens(record),
            error=(words(_field(record, "statusMessage")) or "error") if failed else None,
        )


def _is_score(record: dict[str, Any]) -> bool:
    return "name" in record and bool(record.keys() & {"dataType", "data_type", "stringValue", "string_value"})


def _is_generation(record: dict[str, Any]) -> bool:
    return record.get("type") == "GENERATION" and "id" in record


def _score(record: dict[str, Any]) -> Score:
    subject = record.get("subject") or {}
    kind = str(_field(record, "dataType") or "").upper()
    text = _field(record, "stringValue")
    value = record.get("value")
    if kind == "CORRECTION":
        correction, value = (value if isinstance(value, str) else text), None
    else:
        correction = None
        value = bool(value) if kind == "BOOLEAN" and not isinstance(value, str) else text if value is None else value
    about = {"trace": _field(record, "traceId"), "observation": _field(record, "observationId")}
    if subject:
        about = _subject(subject)
    told = (_field(record, key) for key in ("timestamp", "updatedAt", "createdAt"))
    return Score(
        str(record["id"]),
        about["observation"],
        about["trace"],
        str(record["name"]),
        moments.optional(next((moment for moment in told if moment is not None), None)),
        value,
        record.get("comment"),
        correction,
    )


def _subject(subject: dict[str, Any]) -> dict[str, str | None]:
    """What a score of the API's version 3 is about: `{kind, id, traceId}`, or the objects themselves by kind."""
    kind = str(subject.get("kind") or subject.get("type") or next(iter(subject)))
    inner = subject.get(kind)
    identity = inner.get("id") if isinstance(inner, dict) else inner or subject.get("id")
    trace = identity if kind == "trace" else _field(inner if isinstance(inner, dict) else subject, "traceId")
    return {"observation": identity if kind == "observation" else None, "trace": trace}


def _tokens(record: dict[str, Any]) -> int | None:
    usage = _field(record, "usageDetails") or record.get("usage") or {}
    return next((int(usage[key]) for key in ("output", "completion_tokens", "output_tokens") if usage.get(key)), None)


def _field(record: dict[str, Any], name: str) -> Any:
    """A field as the API names it, or as the export into a bucket does (`trace_id`)."""
    if name in record:
        return record[name]
    return record.get("".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name))
