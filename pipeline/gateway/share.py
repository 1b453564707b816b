"""A share of the public name's traffic for a candidate, before anything is swapped."""

import hashlib
import math
import secrets
import time
from dataclasses import dataclass


@dataclass(slots=True)
class CandidateShare:
    """Who gets which share; without a version nobody gets any. It ends by itself, should nobody be left to end it.

    `until` is a moment of the monotonic clock, in seconds.
    """

    version: str = ""
    share: float = 0.0
    until: float = math.inf

    def begin(self, version: str, share: float, seconds: float) -> None:
        """Give a version its share for so long."""
        self.version, self.share, self.until = version, share, time.monotonic() + seconds

    def end(self) -> None:
        """Give everybody the active version."""
        self.version, self.share, self.until = "", 0.0, math.inf

    def choose(self, active: str, person: str | None) -> str:
        """The version that answers; one person (or session) always gets the same one while the share lasts."""
        if not self.version or time.monotonic() > self.until:
            return active
        digest = hashlib.blake2b(f"{self.version}/{person or secrets.token_hex(8)}".encode(), digest_size=8).digest()
        return self.version if int.from_bytes(digest) < self.share * 2**64 else active
