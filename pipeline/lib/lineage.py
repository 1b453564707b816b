"""Which base model `loras/current` belongs to, and what was current before: read from manifests and the ledger.

Several base models may share one home. Each has a lineage of its own: rollback stays inside it, clean-up keeps its end.
"""

from typing import Any

from pipeline.lib import generations
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.generations import BASE, MANIFEST, PROMOTED, Generation
from pipeline.lib.layout import Layout


def require_current_base(settings: Settings) -> str:
    """The hash of the configured base model, to which `loras/current` must belong.

    Raises:
        ConfigurationError: `loras/current` names an adapter of another base model, or there is no base model.
    """
    base = base_sha256(settings.base_folder)
    incumbent = generations.incumbent(settings.layout)
    if incumbent.id != BASE and incumbent.base_sha256 != base:
        raise ConfigurationError(
            f"loras/current names {incumbent.id}, an adapter of another base model than {settings.model.base}",
            "`nightschool versions switch-base` gives back what this base model had last; or set model.base back",
        )
    return base


def require_same_base(generation: Generation, base: str, settings: Settings) -> None:
    """An adapter belongs to the base model that it was trained on.

    Raises:
        ConfigurationError: it was trained on another than the configured one.
    """
    if generation.id != BASE and generation.base_sha256 != base:
        raise ConfigurationError(
            f"{generation.id} was trained on another base model than {settings.model.base}",
            "set model.base back, or name another generation",
        )


def current_base(layout: Layout) -> str | None:
    """The base model of what is current: by its manifest, for the bare base by the ledger; none when nobody knows."""
    incumbent = generations.incumbent(layout)
    if incumbent.id != BASE:
        return incumbent.base_sha256
    swaps = generations.ledger(layout)
    return _base_of(layout, swaps[-1]) if swaps else None


def bases(layout: Layout) -> set[str | None]:
    """Every base model that ever had something current here."""
    return {_base_of(layout, swap) for swap in generations.ledger(layout)}


def history(layout: Layout, base: str | None) -> list[dict[str, Any]]:
    """The swaps to versions of one base model, oldest first."""
    return [swap for swap in generations.ledger(layout) if _base_of(layout, swap) == base]


def latest_promotion(layout: Layout, base: str | None, of: str | None = None) -> dict[str, Any] | None:
    """The ledger's line about the last promotion within a base model's lineage, of one generation or of any."""
    promotions = (swap for swap in reversed(history(layout, base)) if swap["reason"] == PROMOTED)
    return next((swap for swap in promotions if of in (None, swap["to"])), None)


def previous(layout: Layout, current: Generation, base: str | None) -> str | None:
    """What was current before `current` was promoted, by the ledger; its parent when the ledger is gone."""
    promotion = latest_promotion(layout, base, current.id)
    found: str | None = promotion["from"] if promotion else current.manifest.get("parent")
    return found


def last_current(layout: Layout, base: str | None) -> str:
    """What a base model had serving last: the newest that is still there and was not given up; else the bare base."""
    given_up: set[str] = set()
    for swap in reversed(history(layout, base)):
        there = swap["to"] == BASE or (layout.generation(swap["to"]) / MANIFEST).is_file()
        if there and swap["to"] not in given_up:
            return str(swap["to"])
        if swap["reason"] != PROMOTED:
            given_up.add(swap["from"])
    return BASE


def _base_of(layout: Layout, swap: dict[str, Any]) -> str | None:
    """The base model of a ledger's line. Old lines do not say it; the manifest does, while it is there."""
    if "base_sha256" in swap:
        said: str | None = swap["base_sha256"]
        return said
    adapter = str(swap["from"] if swap["to"] == BASE else swap["to"])
    if not (layout.generation(adapter) / MANIFEST).is_file():
        return None
    return generations.read(layout, adapter).base_sha256
