"""Calls of models as OpenTelemetry describes them (GenAI conventions), put together from spans and events.

The same call may be told as a span, as a structured event (`gen_ai.client.inference.operation.details`) and as the
older events for each message (`gen_ai.user.message`, `gen_ai.choice` …). What they have in common is the span they
belong to; without one, the response id.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.backends.sources import moments, otlp_values
from pipeline.backends.sources.conversation import answer, messages, parsed, text_of

DETAILS = "gen_ai.client.inference.operation.details"
EVALUATION = "gen_ai.evaluation.result"
CHOICE = "gen_ai.choice"
_MESSAGES = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
_OLDEST = {"gen_ai.content.prompt": "gen_ai.prompt", "gen_ai.content.completion": "gen_ai.completion"}
_OPERATIONS = (None, "chat", "text_completion", "generate_content")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was told about a call; a span tells of itself, as the event ``span``."""

    name: str
    span: str  # trace and span id, empty if not known
    at: float
    values: dict[str, Any]
    end: float | None = None

    @property
    def response(self) -> str:
        """The response id, empty if not known."""
        return str(self.values.get("gen_ai.response.id") or "")


@dataclass(slots=True)
class Call:
    """What is known of a call by now."""

    begin: float | None = None
    end: float | None = None
    told: float = float("inf")
    values: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)

    @property
    def at(self) -> float:
        """When it began; of one that is known from events only, when the first of them came."""
        return self.told if self.begin is None else self.begin

    def add(self, event: Event) -> None:
        """Learn from an event."""
        self.told = min(self.told, event.at)
        if event.name == "span":
            self.begin, self.end = event.at, event.end
        if event.name == CHOICE:
            self.choices.append(event.values)
        elif event.name in _MESSAGES:
            told = (event.at, {"role": _MESSAGES[event.name], **event.values})
            self.asked += [] if told in self.asked else [told]  # an export may be repeated
        else:
            known = {key: each for key, each in event.values.items() if each not in (None, "", [])}
            self.values = {**known, **self.values} if event.name != "span" else {**self.values, **known}

    def merge(self, other: "Call") -> None:
        """Learn what was told about the same call elsewhere."""
        self.told = min(self.told, other.told)
        self.values = {**other.values, **self.values}
        self.asked += [told for told in other.asked if told not in self.asked]
        self.choices += other.choices

    def question(self) -> list[dict[str, str]]:
        """What was asked.

        Raises:
            ValueError: the messages were not captured.
        """
        given = self.values.get("gen_ai.input.messages", self.values.get("gen_ai.prompt"))
        if given is not None:
            found = messages(given)
        else:
            found = messages([each for _, each in sorted(self.asked, key=lambda pair: pair[0])])
        if not found:
            raise ValueError("a call whose messages were not captured")
        instructions = text_of(parsed(self.values.get("gen_ai.system_instructions")))
        if instructions and found[0]["role"] != "system":
            found = [{"role": "system", "content": instructions}, *found]
        return found

    def answer(self) -> str:
        """What the model said: the first of several choices."""
        given = parsed(self.values.get("gen_ai.output.messages", self.values.get("gen_ai.completion")))
        if given is None:
            given = min(self.choices, key=lambda choice: choice.get("index") or 0, default=None)
        elif isinstance(given, list) and given:
            given = given[0]
        if isinstance(given, dict) and isinstance(given.get("parts"), list):
            return text_of([part for part in given["parts"] if part.get("type", "text") == "text"])
        return answer(given)

    def error(self) -> str | None:
        """What failed, if anything did."""
        kind, said = self.values.get("error.type"), self.values.get("status.message")
        return ": ".join(str(each) for each in (kind, said) if each) or None if kind or said else None


def is_call(event: Event) -> bool:
    """Whether it tells of a call of a model, rather than of a tool, an agent around it, or something else."""
    if event.name in (DETAILS, CHOICE, *_MESSAGES, *_OLDEST):
        return True
    values = event.values
    known = any(key.startswith("gen_ai.") for key in values)
    return event.name == "span" and known and values.get("gen_ai.operation.name") in _OPERATIONS


def events(record: dict[str, Any]) -> Iterator[Event]:
    """Everything that an export request tells, spans with their own events."""
    for span in otlp_values.spans(record):
        identity = _span_of(span)
        begin = moments.seconds(span["startTimeUnixNano"])
        values = otlp_values.attributes(span.get("attributes"))
        status = span.get("status") or {}
        if status.get("code") in (2, "STATUS_CODE_ERROR"):
            values |= {"error.type": values.get("error.type") or "error", "status.message": status.get("message")}
        yield Event("span", identity, begin, values, moments.optional(span.get("endTimeUnixNano")))
        for each in span.get("events", []):
            at = moments.optional(each.get("timeUnixNano")) or begin
            yield Event(str(each.get("name")), identity, at, otlp_values.attributes(each.get("attributes")))
    for each in otlp_values.log_records(record):
        values = otlp_values.attributes(each.get("attributes"))
        body = otlp_values.value(each.get("body") or {})
        name = str(each.get("eventName") or values.get("event.name") or "")
        at = moments.optional(each.get("timeUnixNano") or None) or moments.seconds(each.get("observedTimeUnixNano"))
        yield Event(name, _span_of(each), at, values | (body if isinstance(body, dict) else {}))


def _span_of(record: dict[str, Any]) -> str:
    trace, span = otlp_values.identity(record.get("traceId"), 16), otlp_values.identity(record.get("spanId"), 8)
    return f"{trace}:{span}" if trace and span else ""
