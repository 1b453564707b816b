"""Traces and logs of OpenTelemetry's GenAI conventions, as the collector's file exporter writes them (OTLP/JSON lines).

The conventions know no thumbs. Their evaluations (`gen_ai.evaluation.result`) count like this: one that is named like
a person's thumb is one (see `persons`); of the others a label (pass, good, … or fail, bad, …) decides, without one a
score from 0 to 1, where less than 0.5 has failed. One that failed makes `feedback.success` false, with its explanation
as `feedback.error`; several agree when none failed. They are joined by response id, or by the span they hang on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pipeline.backends.sources import exports, interactions, moments, persons
from pipeline.backends.sources.interface import Row
from pipeline.backends.sources.otlp_calls import EVALUATION, Call, Event, events, is_call
from pipeline.lib.problems import Problems

_DAY = 86_400.0  # what is told of one call lies no further apart


class Otlp:
    """See `pipeline.backends.sources.interface.Source`."""

    kind: ClassVar[str] = "otlp"

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.name = interactions.named(self.kind, paths)

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every call of the window, and earlier ones that were evaluated in it.

        The files are read twice: first for the evaluations, so that only calls that matter are kept in memory.
        """
        evaluations: dict[str, list[Event]] = {}
        for _, event in self._events(problems):
            if event.name == EVALUATION:
                for key in filter(None, (event.response, event.span)):
                    evaluations.setdefault(key, []).append(event)
        judged = {key for key, found in evaluations.items() if any(since <= each.at < until for each in found)}
        calls: dict[str, Call] = {}
        for place, event in self._events(Problems()):
            key = event.span or event.response
            near = since - _DAY <= event.at < until + _DAY
            if not is_call(event) or not (near or key in judged or event.response in judged):
                continue
            if key:
                calls.setdefault(key, Call()).add(event)
            else:
                problems.add("a call without span and response id", place)
        for key, call in _merged(calls).items():
            yield from self._row(key, call, evaluations, (since, until), problems)

    def _events(self, problems: Problems) -> Iterator[tuple[str, Event]]:
        for place, record in exports.read(self.paths, problems):
            try:
                found = list(events(record))
            except interactions.UNREADABLE as error:
                problems.add(interactions.why(error), place)
                continue
            if not found and not record.keys() & {"resourceSpans", "resourceLogs", "resourceMetrics"}:
                problems.add("neither spans nor logs", place)
            yield from ((place, event) for event in found)

    def _row(
        self,
        key: str,
        call: Call,
        evaluations: dict[str, list[Event]],
        window: tuple[float, float],
        problems: Problems,
    ) -> Iterator[Row]:
        values = call.values
        response = str(values.get("gen_ai.response.id") or "")
        said = {id(each): each for name in (key, response) if name for each in evaluations.get(name, [])}
        try:
            answer, error = call.answer(), call.error()
            first = values.get("gen_ai.response.time_to_first_chunk")
            each = interactions.row(
                self.name,
                key,
                call.at,
                call.question(),
                answer,
                _feedback(answer, list(said.values())),
                user=values.get("user.id") or values.get("enduser.id"),
                session=values.get("gen_ai.conversation.id") or values.get("session.id"),
                model=values.get("gen_ai.response.model") or values.get("gen_ai.request.model"),
                latency_ms=moments.milliseconds(call.begin, call.end),
                first_token_ms=first * 1000 if first else None,
                tokens=values.get("gen_ai.usage.output_tokens") or values.get("gen_ai.usage.completion_tokens"),
                error=error,
            )
        except interactions.UNREADABLE as error_:
            if window[0] <= call.at < window[1]:
                problems.add(interactions.why(error_), f"call {key}")
            return
        if interactions.in_window(each, *window) and (answer or error):
            yield each


def _merged(calls: dict[str, Call]) -> dict[str, Call]:
    """Calls that are known by their response id only are part of the call whose span has it."""
    spans = {str(call.values.get("gen_ai.response.id") or key): key for key, call in calls.items() if ":" in key}
    merged: dict[str, Call] = {}
    for key, call in sorted(calls.items(), key=lambda pair: ":" not in pair[0]):
        home = key if ":" in key else spans.get(key, key)
        if home in merged:
            merged[home].merge(call)
        else:
            merged[home] = call
    return merged


def _feedback(answer: str, evaluations: list[Event]) -> interactions.Said | None:
    """What evaluations say, by the rule above."""
    thumb = None
    outcomes: list[bool] = []
    failed: list[str] = []
    for each in sorted(evaluations, key=lambda event: event.at):
        name = str(each.values.get("gen_ai.evaluation.name") or "evaluation")
        label, score = (each.values.get(f"gen_ai.evaluation.score.{part}") for part in ("label", "value"))
        clicked = persons.thumb(name, score if label is None else label)
        outcome = _outcome(label, score)
        if clicked is not None:
            thumb = clicked
        elif outcome is not None and not each.values.get("error.type"):
            outcomes.append(outcome)
            if not outcome:
                explanation = each.values.get("gen_ai.evaluation.explanation")
                failed.append(f"{name}: {explanation or (score if label is None else label)}")
    return interactions.said(
        answer,
        thumb=thumb,
        success=all(outcomes) if outcomes else None,
        error="; ".join(failed),
        at=moments.latest(*(each.at for each in evaluations)),
    )


def _outcome(label: Any, score: Any) -> bool | None:
    if isinstance(label, str) and (said := persons.opinion(label)) is not None:
        return said > 0
    numeric = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1
    return bool(score >= 0.5) if numeric else None
