"""versions prune: old generations go, what may still be needed stays.

reads   `loras/`, the ledger; asks the gateway what it has loaded
removes old `loras/<run>/` folders and abandoned work folders
"""

import shutil
import time
from contextlib import suppress
from typing import Any

from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError

_ABANDONED = 7 * 24 * 3600  # seconds after which a work folder is nobody's


def prune(settings: Settings, dry_run: bool) -> dict[str, Any]:
    """Keep the newest `deploy.keep` generations besides the incumbent and everything that may follow a rollback.

    A folder is never removed while the gateway has it loaded.
    """
    layout = settings.layout
    incumbent = generations.incumbent(layout)
    needed = {incumbent.id, _latest(settings)}
    needed |= {str(entry["from"]) for entry in generations.ledger(layout) if entry["to"] == incumbent.id}
    with suppress(UnavailableError):  # no gateway: nobody has anything loaded
        needed |= set(GatewayClient(settings, timeout=5).versions())
    others = [each for each in generations.all_complete(layout) if each.id not in needed]
    old = others[: max(0, len(others) - settings.deploy.keep)]
    work = [path for path in layout.loras.glob(".*.work") if time.time() - path.stat().st_mtime > _ABANDONED]
    folders = [*(each.folder for each in old), *work]
    if not dry_run:
        for folder in folders:
            shutil.rmtree(folder)
    return {"removed": [folder.name for folder in folders], "kept": len(others) - len(old), "dry_run": dry_run}


def _latest(settings: Settings) -> str:
    link = settings.layout.latest
    return link.readlink().name if link.is_symlink() else ""
