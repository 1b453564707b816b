"""revoke, quarantine, release: whose rows are not trained on, and which generations were.

reads   the harvests, the datasets' provenance, `loras/`
writes  one line to `training_data/exclusions.jsonl`

The next generation knows nothing of what was revoked: where its parent was trained on that, it is trained from the base
model again. Generations that were trained on it before are named; which of them serves is for people to decide.
"""

from typing import Any

from pipeline.lib import exclusions, generations, harvests
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo, UsageError
from pipeline.lib.exclusions import Action


def decide(
    settings: Settings, action: Action, user: str | None, interaction: str | None, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Revoke, quarantine or release what a person, or one interaction, gave.

    Args:
        settings: where everything lies.
        action: what to do; `release` takes back either of the others.
        user: as the interactions name the person.
        interaction: its id.
        reason: for the record.
        dry_run: only say which generations were trained on it.

    Raises:
        UsageError: neither a person nor an interaction.
        NothingToDo: to be released, but not excluded.
    """
    if not user and not interaction:
        raise UsageError("whose? give --user or --interaction", "`nightschool quarantine` lists what is excluded")
    layout = settings.layout
    if interaction:
        interaction = interaction.removeprefix("chatcmpl-")
    if action == "release":
        excluded = exclusions.read(layout)
        if user not in excluded.users and interaction not in excluded.interactions:
            raise NothingToDo(f"{user or interaction} is not excluded")
    given = set(harvests.rows_of(layout, {user} if user else set())) | ({interaction} if interaction else set())
    trained = [
        {"id": each.id, "rows": len(found), "current": generations.incumbent(layout).id == each.id}
        for each in generations.all_complete(layout)
        if (found := each.interaction_ids & given)
    ]
    if not dry_run:
        exclusions.record(layout, action, user, interaction, reason)
    return {"action": action, "user": user, "interaction": interaction, "rows": len(given), "generations": trained}


def excluded(settings: Settings) -> dict[str, Any]:
    """Everything that is excluded now."""
    found = exclusions.read(settings.layout)
    return {"users": found.users, "interactions": found.interactions}
