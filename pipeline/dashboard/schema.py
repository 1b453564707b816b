"""The JSON schema of the API, made of its types."""

from typing import Any

from pydantic import TypeAdapter

from pipeline.dashboard.shapes import (
    Activity,
    Answers,
    Done,
    Failure,
    Json,
    Metrics,
    Report,
    Status,
    Update,
)

_SHAPES: dict[str, Any] = {
    "status": Status,
    "metrics": Metrics,
    "report": Report,
    "answers": Answers,
    "update": Update,
    "activity": Activity,
    "done": Done,
    "failure": Failure,
}


def schema() -> Json:
    """JSON schema (2020-12) of everything that the API answers, each under `$defs`."""
    _, found = TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(shape)) for name, shape in _SHAPES.items()],
        title="Nightschool dashboard",
        description="Answers of the API by name; see docs/dashboard.md.",
    )
    for shape in found["$defs"].values():
        shape["additionalProperties"] = False
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["properties"] = {name: {"$ref": f"#/$defs/{shape.__name__}"} for name, shape in _SHAPES.items()}
    return found
