"""OTLP/JSON as plain values: attributes, ids in hexadecimal or base64, spans and log records out of their envelopes."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")


def value(wrapped: Any) -> Any:
    """The plain value of an `AnyValue`, whatever its type; an empty one is none.

    Raises:
        ValueError: it is not an `AnyValue`.
    """
    if not isinstance(wrapped, dict):
        raise ValueError("an attribute without a typed value")
    if not wrapped:
        return None
    ((kind, inner),) = wrapped.items()
    match kind:
        case "stringValue" | "boolValue" | "bytesValue":
            return inner
        case "intValue":
            return int(inner)
        case "doubleValue":
            return float(inner)
        case "arrayValue":
            return [value(each) for each in inner.get("values", [])]
        case "kvlistValue":
            return attributes(inner.get("values", []))
    raise ValueError(f"an attribute of the unknown type {kind}")


def attributes(pairs: list[dict[str, Any]] | None) -> dict[str, Any]:
    """A list of keys and values as a dictionary; of equal keys the last counts."""
    return {str(pair["key"]): value(pair.get("value", {})) for pair in pairs or []}


def identity(written: Any, size: int) -> str:
    """An id in lower-case hexadecimal: the collector writes it so, Python's protobuf in base64. Zeros are none.

    Args:
        written: the id.
        size: its length in bytes: 16 of a trace, 8 of a span.
    """
    text = str(written or "")
    if len(text) != 2 * size or not _HEXADECIMAL.fullmatch(text):
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return ""
        text = raw.hex() if len(raw) == size else ""
    return text.lower() if text.strip("0") else ""


def spans(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The spans of an export request."""
    for resource in record.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            yield from scope.get("spans", [])


def log_records(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The log records of an export request."""
    for resource in record.get("resourceLogs", []):
        for scope in resource.get("scopeLogs", []):
            yield from scope.get("logRecords", [])
