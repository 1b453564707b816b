"""rollback: an earlier generation → current.

reads   the ledger, `loras/`; talks to the running gateway
writes  `loras/current`, `logs/promotions.jsonl`, `loras/current/rollback_summary.json`

The failed generation stays where it is, for analysis. Without a gateway the link is moved all the same: the next
start serves the target.
"""

from typing import Any

from pipeline.backends.engines import proof as proofs
from pipeline.backends.engines import switching
from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import generations, lineage
from pipeline.lib.config import Settings
from pipeline.lib.errors import DiskError, NothingToDo, UsageError
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout


def rollback(settings: Settings, to: str | None, reason: str, run: str, dry_run: bool) -> dict[str, Any]:
    """Give back an earlier generation.

    Args:
        settings: where the gateway is.
        to: its id (`base` for the bare base model); none: the one that was current before.
        reason: for the summary.
        run: who does it.
        dry_run: only say what would be done.

    Raises:
        NothingToDo: the target is current already.
        UsageError: there is nothing to roll back to, or no such generation.
        ConfigurationError: current or target belongs to another base model.
        BadRecordError: the target's files are damaged; nothing has changed.
        DiskError: the target is current, but ledger or summary could not be written; or not even the link.
    """
    layout = settings.layout
    base = lineage.require_current_base(settings)
    failed = generations.incumbent(layout)
    target = generations.read(layout, to or _previous(layout, failed, base))
    if target.id == failed.id:
        raise NothingToDo(f"{target.id} is current already")
    lineage.require_same_base(target, base, settings)
    target.verify_files()
    if dry_run:
        return {"dry_run": True, "from": failed.id, "to": target.id, "to_sha256": target.sha256}
    client = GatewayClient(settings)
    summary = switching.give_back(
        client, layout, target, reason, run, proofs.kept([failed, target], {failed.id, target.id}), {}
    )
    if "disk_error" in summary:
        state = "serves again" if summary["proven"] else "is current again (NOT proven, look at the server)"
        raise DiskError(
            f"{target.id} {state}, but not all is written down: {summary['disk_error']}",
            "free some space; the rollback itself is done",
        )
    return summary


def _previous(layout: Layout, current: Generation, base: str) -> str:
    found = lineage.previous(layout, current, base)
    if found is None:
        raise UsageError("nothing to roll back to: the bare base model is serving", "see `nightschool status`")
    return found
