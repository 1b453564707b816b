"""What lets a candidate serve: a `pass` of the canary and, where `deploy.approval` asks for it, a person's yes.

`loras/<candidate>/approval.json` is about these very tensors and this very incumbent:

{"state": "awaiting", "since", "until", "sha256", "incumbent"}
{"state": "approved" or "rejected", "by", "at", "reason", …}

Times are seconds since 1970. A rejection stands for good.
"""

import time
from datetime import UTC, datetime
from typing import Any

from pipeline.lib import generations
from pipeline.lib.errors import AwaitingApproval, Inconclusive, Refused
from pipeline.lib.files import read_json, write_json
from pipeline.lib.generations import Generation

APPROVAL = "approval.json"
AWAITING, APPROVED, REJECTED = "awaiting", "approved", "rejected"
_STAYS = "the incumbent stays"


def require_pass(candidate: Generation, incumbent: Generation) -> dict[str, Any]:
    """The verdict. No verdict, no deploy; and it must be about these very tensors against this very incumbent.

    Raises:
        Refused, Inconclusive: there is none, or it is not `pass`.
    """
    verdict = generations.verdict(candidate)
    hint = f"`nightschool canary --candidate {candidate.id}` judges it"
    if verdict is None:
        raise Refused(f"{candidate.id} has no verdict", hint)
    if verdict["outcome"] == "inconclusive":
        raise Inconclusive(f"{candidate.id}: {verdict['reason']}", _STAYS)
    if verdict["outcome"] != "pass":
        raise Refused(f"{candidate.id}: {verdict['reason']}", _STAYS)
    if verdict.get("candidate_sha256") != candidate.sha256 or verdict.get("incumbent") != incumbent.id:
        raise Refused(f"the verdict of {candidate.id} is about other versions", hint)
    return verdict


def read(candidate: Generation) -> dict[str, Any] | None:
    """What has been asked or said about a candidate, if anything."""
    path = candidate.folder / APPROVAL
    return read_json(path) if path.is_file() else None


def is_awaited(candidate: Generation) -> bool:
    """Whether a person may still say yes."""
    said = read(candidate)
    return said is not None and said["state"] == AWAITING and time.time() <= said["until"]


def require_approval(candidate: Generation, incumbent: Generation, hours: float, dry_run: bool) -> None:
    """Go on only with a person's yes. The first time it is asked for; asking again does not prolong the time.

    Raises:
        AwaitingApproval: nobody has said anything yet.
        Refused: nobody did in time.
    """
    said = _about(candidate, incumbent)
    if said is None:
        now = time.time()
        said = {"state": AWAITING, "since": now, "until": now + hours * 3600, **_subject(candidate, incumbent)}
        if not dry_run:
            write_json(candidate.folder / APPROVAL, said)
    if said["state"] == APPROVED:
        return
    _refuse_late(candidate, said)
    raise AwaitingApproval(
        f"{candidate.id}: awaiting approval until {_moment(said['until'])}",
        f"`nightschool versions compare {incumbent.id} {candidate.id}` shows its answers, "
        f"`nightschool approve --candidate {candidate.id}` deploys it",
    )


def require_open(candidate: Generation, incumbent: Generation) -> None:
    """Whether a person may say yes.

    Raises:
        Refused: somebody said no before, or the time is over.
    """
    refuse_rejected(candidate)
    said = _about(candidate, incumbent)
    if said is not None and said["state"] == AWAITING:
        _refuse_late(candidate, said)


def approve(candidate: Generation, incumbent: Generation, by: str) -> dict[str, Any]:
    """Record a person's yes."""
    said = _about(candidate, incumbent) or {}
    yes = {**said, "state": APPROVED, "by": by, "at": time.time(), **_subject(candidate, incumbent)}
    write_json(candidate.folder / APPROVAL, yes)
    return yes


def reject(candidate: Generation, incumbent: Generation, by: str, reason: str) -> dict[str, Any]:
    """Record a person's no."""
    no = {"state": REJECTED, "by": by, "at": time.time(), "reason": reason, **_subject(candidate, incumbent)}
    write_json(candidate.folder / APPROVAL, no)
    return no


def refuse_rejected(candidate: Generation) -> None:
    """A person's no stands, whether an approval is asked for or not.

    Raises:
        Refused: it was rejected.
    """
    said = read(candidate)
    if said is not None and said["state"] == REJECTED:
        raise Refused(f"{candidate.id} was rejected by {said['by']}: {said['reason']}", _STAYS)


def _subject(candidate: Generation, incumbent: Generation) -> dict[str, Any]:
    return {"sha256": candidate.sha256, "incumbent": incumbent.id}


def _about(candidate: Generation, incumbent: Generation) -> dict[str, Any] | None:
    """What was said, if it was about these versions."""
    said = read(candidate)
    subject = _subject(candidate, incumbent)
    return said if said is not None and all(said.get(key) == value for key, value in subject.items()) else None


def _refuse_late(candidate: Generation, said: dict[str, Any]) -> None:
    if time.time() > said["until"]:
        raise Refused(f"{candidate.id} was not approved before {_moment(said['until'])}", _STAYS)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
