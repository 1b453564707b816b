"""`loras/pins.json`: generations that a person wants to keep.

A pinned generation is never removed. While a pinned one is current, nothing else is deployed.
"""

import time
from typing import Any

from pipeline.lib.errors import NothingToDo
from pipeline.lib.files import locked, read_json, write_json
from pipeline.lib.layout import Layout


def pinned(layout: Layout) -> dict[str, Any]:
    """What is pinned, and since when: {id: {at}}."""
    pins: dict[str, Any] = read_json(layout.pins)["pinned"] if layout.pins.is_file() else {}
    return pins


def pin(layout: Layout, identity: str) -> None:
    """Pin a generation.

    Raises:
        NothingToDo: it is pinned already.
    """
    with locked(layout.lock("pins"), "another change of loras/pins.json"):
        pins = pinned(layout)
        if identity in pins:
            raise NothingToDo(f"{identity} is pinned already")
        write_json(layout.pins, {"pinned": {**pins, identity: {"at": time.time()}}})


def unpin(layout: Layout, identity: str) -> None:
    """Take a pin away; the generation need not be there any more.

    Raises:
        NothingToDo: it is not pinned.
    """
    with locked(layout.lock("pins"), "another change of loras/pins.json"):
        pins = pinned(layout)
        if identity not in pins:
            raise NothingToDo(f"{identity} is not pinned")
        write_json(layout.pins, {"pinned": {each: said for each, said in pins.items() if each != identity}})
