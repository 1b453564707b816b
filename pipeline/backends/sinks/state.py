"""What is remembered of the sinks between two exports (`logs/sinks.json`): when one was reached, how far its rows are.

    {"sinks": {"influx": {"last_success": 1.8e9, "failing": false, "destination": "6f0c…",
                          "positions": {"query_metrics": {"id": 812, "at": 1.8e9}}}}}

The file may be lost: rows are then sent once more, over those that are there.
"""

from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.lib.errors import BadRecordError, DiskError
from pipeline.lib.files import read_json, write_json
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger


class Position(BaseModel):
    """The last row of a table that has arrived: `id`, and `at` to tell whether it is still the same row."""

    id: int
    at: float


class SinkState(BaseModel):
    """One sink. `last_success` is in seconds since 1970, 0 = never; `failing`: the last attempt was in vain."""

    last_success: float = 0.0
    failing: bool = False
    destination: str = ""
    positions: dict[str, Position] = {}


class _Sinks(BaseModel):
    sinks: dict[str, SinkState] = {}


def read(layout: Layout) -> dict[str, SinkState]:
    """What is known of each sink that was tried; nothing, said aloud, where the file cannot be read."""
    if not layout.sinks.is_file():
        return {}
    try:
        return _Sinks.model_validate(read_json(layout.sinks)).sinks
    except (BadRecordError, ValidationError):
        logger.warning("%s cannot be read: sinks are filled again from the store", layout.sinks)
        return {}


def remember(layout: Layout, name: str, **known: Any) -> None:
    """Write what is new about a sink; what is not named stays. A disk that refuses is a warning: see above."""
    sinks = read(layout)
    sinks[name] = sinks.get(name, SinkState()).model_copy(update=known)
    try:
        write_json(layout.sinks, _Sinks(sinks=sinks).model_dump())
    except DiskError as error:
        logger.warning("%s", error)
