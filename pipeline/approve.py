"""approve, reject: what a person says about a candidate that waits.

reads   `loras/<candidate>/verdict.json`, `canary.jsonl`
writes  `loras/<candidate>/approval.json`; deploying it is the next stage
"""

import getpass
import os
from typing import Any

from pipeline.lib import generations, permission, side_by_side
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout


def evidence(settings: Settings, candidate_id: str | None, limit: int) -> dict[str, Any]:
    """What a person should look at first: the verdict, what has been said, and some answers side by side.

    Raises:
        UsageError: no such candidate.
        NothingToDo: it is current already.
    """
    layout = settings.layout
    candidate, incumbent = _versions(layout, candidate_id)
    verdict = generations.verdict(candidate) or {}
    return {
        "candidate": candidate.id,
        "incumbent": incumbent.id,
        "verdict": {key: verdict.get(key) for key in ("outcome", "reason", "incumbent")},
        "approval": permission.read(candidate),
        "answers": side_by_side.between(layout, incumbent, candidate)[:limit],
    }


def approve(settings: Settings, candidate_id: str | None, by: str | None, dry_run: bool) -> dict[str, Any]:
    """Record that a person wants a candidate; it counts for these tensors and against this incumbent only.

    Args:
        settings: where the generations are.
        candidate_id: the generation; none: the newest that waits, else `loras/latest`.
        by: who says so; none: the login name.
        dry_run: only check whether it could be said.

    Raises:
        Refused, Inconclusive: it has not passed, was rejected, or the time is over.
        UsageError, NothingToDo: no such candidate; it is current already.
        BadRecordError: its files have changed since it was trained.
    """
    candidate, incumbent = _versions(settings.layout, candidate_id)
    permission.require_pass(candidate, incumbent)
    candidate.verify_files()
    permission.require_open(candidate, incumbent)
    if dry_run:
        return {"dry_run": True, "candidate": candidate.id}
    said = permission.approve(candidate, incumbent, by or _login())
    return {"candidate": candidate.id, "incumbent": incumbent.id, "by": said["by"], "sha256": candidate.sha256}


def reject(settings: Settings, candidate_id: str | None, by: str | None, reason: str, dry_run: bool) -> dict[str, Any]:
    """Record that a person does not want a candidate; deploy refuses it from then on.

    Raises:
        UsageError, NothingToDo: no such candidate; it is current already.
    """
    candidate, incumbent = _versions(settings.layout, candidate_id)
    who = by or _login()
    if not dry_run:
        permission.reject(candidate, incumbent, who, reason)
    return {"dry_run": dry_run, "candidate": candidate.id, "by": who, "reason": reason}


def _versions(layout: Layout, candidate_id: str | None) -> tuple[Generation, Generation]:
    """The candidate in question, and what serves now."""
    waiting = [each.id for each in generations.all_complete(layout) if permission.is_awaited(each)]
    candidate = generations.read(layout, candidate_id or (waiting or ["latest"])[-1])
    incumbent = generations.incumbent(layout)
    if candidate.id == incumbent.id:
        raise NothingToDo(f"{candidate.id} is current already", "`nightschool rollback` gives back what was before")
    return candidate, incumbent


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return str(os.getuid())
