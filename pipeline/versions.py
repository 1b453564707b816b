"""versions list, pin, unpin: the generations on this disk.

reads   `loras/`, the ledger; asks the gateway what it has loaded
writes  `loras/pins.json`
"""

from contextlib import suppress
from typing import Any

from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import generations, lineage, permission, pins
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError
from pipeline.lib.generations import Generation


def versions(settings: Settings) -> dict[str, Any]:
    """Every generation, the bare base first, with what marks it out."""
    layout = settings.layout
    incumbent = generations.incumbent(layout)
    marked: dict[str, set[str | None]] = {
        "current": {incumbent.id},
        "previous": {lineage.previous(layout, incumbent, lineage.current_base(layout))},
        "pinned": {*pins.pinned(layout)},
        "loaded": {*_loaded(settings)},
    }
    listed = []
    for each in [generations.bare_base(layout), *generations.all_complete(layout)]:
        marks = [mark for mark, ids in marked.items() if each.id in ids]
        listed.append({**generations.summary(each), "marks": marks + _awaiting(each)})
    return {"versions": listed}


def pin(settings: Settings, identity: str) -> dict[str, Any]:
    """Keep a generation for good; while it is current, nothing else is deployed.

    Raises:
        UsageError: no such generation.
        NothingToDo: it is pinned already.
    """
    generation = generations.read(settings.layout, identity)
    pins.pin(settings.layout, generation.id)
    current = generation.id == generations.incumbent(settings.layout).id
    return {"pinned": generation.id, "frozen": current}


def unpin(settings: Settings, identity: str) -> dict[str, Any]:
    """Let a generation go the way of all others.

    Raises:
        NothingToDo: it is not pinned.
    """
    if identity in ("current", "latest"):
        identity = generations.read(settings.layout, identity).id
    pins.unpin(settings.layout, identity)
    return {"unpinned": identity}


def _loaded(settings: Settings) -> set[str]:
    with suppress(UnavailableError):
        return set(GatewayClient(settings, timeout=5).versions())
    return set()


def _awaiting(generation: Generation) -> list[str]:
    return ["awaiting"] if permission.is_awaited(generation) else []
