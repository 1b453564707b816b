"""Whose rows are not trained on: revoked for good, or in quarantine until somebody releases them.

`training_data/exclusions.jsonl`, one line a decision; the last one about a person or an interaction counts.
"""

import time
from dataclasses import dataclass
from typing import Literal

from pipeline.lib import jsonl
from pipeline.lib.layout import Layout

Action = Literal["revoke", "quarantine", "release"]
_WORDS = {"revoke": "revoked", "quarantine": "in quarantine"}


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What is excluded now, and why."""

    users: dict[str, str]
    interactions: dict[str, str]

    def reason(self, interaction_id: str, user: str | None) -> str | None:
        """Why a row of this interaction and this person must not be trained on; none: it may."""
        return self.interactions.get(interaction_id) or (self.users.get(user) if user else None)


def record(layout: Layout, action: Action, user: str | None, interaction: str | None, reason: str) -> None:
    """Write down a decision about a person, an interaction, or both."""
    line = {"at": time.time(), "action": action, "user": user, "interaction": interaction, "reason": reason}
    jsonl.append(layout.exclusions, [line])


def read(layout: Layout) -> Exclusions:
    """What is excluded now."""
    users: dict[str, str] = {}
    interactions: dict[str, str] = {}
    for line in jsonl.read(layout.exclusions):
        for name, table in ((line.get("user"), users), (line.get("interaction"), interactions)):
            if name is None:
                continue
            if line["action"] == "release":
                table.pop(str(name), None)
            else:
                table[str(name)] = f"{_WORDS[line['action']]}: {line['reason']}"
    return Exclusions(users, interactions)
