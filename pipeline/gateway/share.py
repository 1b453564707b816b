"""A share of the public name's traffic for a candidate, before anything is swapped."""

import hashlib
import secrets
from dataclasses import dataclass


@dataclass(slots=True)
class CandidateShare:
    """Who gets which share; without a version nobody gets any."""

    version: str = ""
    share: float = 0.0

    def choose(self, active: str, person: str | None) -> str:
        """The version that answers; one person (or session) always gets the same one while the share lasts."""
        if not self.version:
            return active
        digest = hashlib.blake2b(f"{self.version}/{person or secrets.token_hex(8)}".encode(), digest_size=8).digest()
        return self.version if int.from_bytes(digest) < self.share * 2**64 else active
