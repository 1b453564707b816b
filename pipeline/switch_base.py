"""versions switch-base: give back what the configured base model had last.

reads   the base model, the ledger, `loras/`
writes  `loras/current`, `logs/promotions.jsonl`; nothing else, and the gateway has to be started again
"""

from typing import Any

from pipeline.backends.engines import switching
from pipeline.lib import generations, lineage
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo


def switch_base(settings: Settings, run: str, dry_run: bool) -> dict[str, Any]:
    """Point `loras/current` at the last version of the configured base model, or at the bare base.

    Raises:
        NothingToDo: that is current already.
        ConfigurationError: there is no such base model.
        BadRecordError: the version's files are damaged; nothing has changed.
    """
    layout = settings.layout
    base = base_sha256(settings.base_folder)
    incumbent = generations.incumbent(layout)
    target = generations.read(layout, lineage.last_current(layout, base))
    if incumbent.base_sha256 == base or incumbent.id == target.id:
        raise NothingToDo(f"{incumbent.id} belongs to {settings.model.base} already")
    target.verify_files()
    if not dry_run:
        switching.swap(layout, target, f"switched to base model {settings.model.base}", run, base)
    return {"dry_run": dry_run, "from": incumbent.id, "to": target.id, "to_sha256": target.sha256, "base_sha256": base}
