"""The documents of the day as they lie in their folders.

A document is a text file in UTF-8. Its date is the one in its name (`20261120-shift.pdca.md`, `2026-11-20 notes.md`),
else the day on which it was written last. A front matter may name the interactions that it tells of:

    ---
    interaction_ids: [0a1b2c3d4e5f0a1b2c3d4e5f]
    ---
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pipeline.lib.problems import Problems
from pipeline.lib.records import content_id

LARGEST = 1_000_000  # bytes: beyond, it is data and nobody's document

_DATE = re.compile(r"(?<!\d)((?:19|20)\d{2})(-?)(\d{2})\2(\d{2})(?!\d)")
_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)
_INTERACTIONS = re.compile(r"^interaction_ids:(.*(?:\n[ \t]*-.*)*)", re.MULTILINE)
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")
_ENOUGH_WORDS = 50


@dataclass(frozen=True, slots=True)
class Found:
    """One document on the disk. `path` is relative to home where it lies below it; `date` is YYYY-MM-DD."""

    path: str
    date: str
    text: str
    sha256: str
    interaction_ids: list[str]

    @property
    def id(self) -> str:
        """Follows from the path alone: a document that is written again stays the same document."""
        return content_id("document", self.path)


def find(home: Path, patterns: Iterable[str], problems: Problems) -> Iterator[Found]:
    """The documents that match any of some globs (relative to home), by path, each once.

    What cannot be read is added to `problems`, and the rest goes on.
    """
    paths = {path for pattern in patterns for path in _matching(home, pattern) if path.is_file()}
    for path in sorted(paths):
        shown = path.relative_to(home).as_posix() if path.is_relative_to(home) else path.as_posix()
        try:
            content = path.read_bytes()
            text = content.decode("utf-8-sig")
        except OSError as error:
            problems.add(f"cannot be read: {error.strerror}", shown)
        except UnicodeDecodeError:
            problems.add("not UTF-8", shown)
        else:
            if len(content) > LARGEST:
                problems.add(f"larger than {LARGEST // 1_000_000} MB", shown)
            elif not text.strip():
                problems.add("empty", shown)
            else:
                day = _date_in(path.name) or datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
                sha256 = hashlib.sha256(content).hexdigest()
                yield Found(shown, day.isoformat(), text, sha256, _interactions_in(text))


def quality(text: str) -> float:
    """How much there is to learn from a text, in [0, 1]: the product of three shares.

    * length: its words, of 50 or more;
    * variety: its different lines, of all lines with something in them;
    * legibility: its letters, digits and white space, of all characters.

    So a stub, a line repeated a hundred times, and a dump of symbols are all low. It does not know what is true.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return 0.0
    length = min(1.0, len(text.split()) / _ENOUGH_WORDS)
    variety = len(set(lines)) / len(lines)
    legibility = sum(each.isalnum() or each.isspace() for each in text) / len(text)
    return round(length * variety * legibility, 4)


def _matching(home: Path, pattern: str) -> Iterator[Path]:
    whole = Path(pattern).expanduser()
    if not whole.is_absolute():
        return home.glob(pattern)
    return Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))


def _date_in(name: str) -> date | None:
    for found in _DATE.finditer(name):
        try:
            return date(int(found[1]), int(found[3]), int(found[4]))
        except ValueError:  # eight digits that are no date
            continue
    return None


def _interactions_in(text: str) -> list[str]:
    front_matter = _FRONT_MATTER.match(text)
    said = _INTERACTIONS.search(front_matter[1]) if front_matter else None
    return sorted(set(_ID.findall(said[1]))) if said else []
