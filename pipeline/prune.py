"""versions prune: old generations and old rows of metrics go, what may still be needed stays.

reads   `loras/`, pins, the ledger; asks the gateway what it has loaded
removes old `loras/<run>/` folders and abandoned work folders, rows of `logs/metrics.sqlite` beyond the retention
"""

import shutil
import time
from typing import Any

from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import generations, lineage, permission, pins
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError
from pipeline.lib.layout import Layout
from pipeline.metrics.retention import expire

_ABANDONED = 7 * 24 * 3600  # seconds after which a work folder is nobody's


def prune(settings: Settings, dry_run: bool) -> dict[str, Any]:
    """Keep the newest `deploy.keep` generations besides those that somebody needs.

    Needed are the incumbent and everything that may follow a rollback, what another base model had last, what is
    pinned, what waits for approval, and what the gateway has loaded.

    Raises:
        UnavailableError: no gateway can say what an engine beside it has loaded.
    """
    layout = settings.layout
    rows = 0 if dry_run else expire(layout.metrics, settings.metrics.retention_days, time.time())
    needed = {_latest(settings), *_rollback_targets(layout), *pins.pinned(layout)}
    needed |= {lineage.last_current(layout, base) for base in lineage.bases(layout)}
    needed |= {each.id for each in generations.all_complete(layout) if permission.is_awaited(each)}
    try:
        needed |= set(GatewayClient(settings, timeout=5).versions())
    except UnavailableError:
        if settings.engine.kind != "embedded":  # the engine goes on with what it has loaded, and dies without its files
            raise
    others = [each for each in generations.all_complete(layout) if each.id not in needed]
    old = others[: max(0, len(others) - settings.deploy.keep)]
    work = [path for path in layout.loras.glob(".*.work") if time.time() - path.stat().st_mtime > _ABANDONED]
    folders = [*(each.folder for each in old), *work]
    if not dry_run:
        for folder in folders:
            shutil.rmtree(folder)
    removed = [folder.name for folder in folders]
    return {"removed": removed, "kept": len(others) - len(old), "metrics_rows": rows, "dry_run": dry_run}


def _rollback_targets(layout: Layout) -> set[str]:
    """The incumbent, and what was current before it in its own lineage."""
    incumbent = generations.incumbent(layout)
    before = lineage.history(layout, lineage.current_base(layout))
    return {incumbent.id, *(str(swap["from"]) for swap in before if swap["to"] == incumbent.id)}


def _latest(settings: Settings) -> str:
    link = settings.layout.latest
    return link.readlink().name if link.is_symlink() else ""
