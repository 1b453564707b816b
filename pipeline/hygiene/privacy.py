"""Takes secrets and personal data out of what people wrote, before a teacher or a trainer sees it.

    scrubber = Scrubber(ner_model=settings.hygiene.ner_model, keep=settings.hygiene.keep)    # once
    clean = scrubber.scrub_row(interaction.model_dump())
    clean.row, clean.removed          the interaction without them; {"EMAIL": 2, "SECRET": 1} for the manifest
    scrubber.looks_for_names          False: no model for names is installed, so they stay; say so in the manifest

In place of what is removed stands its class and a number, `<EMAIL_1>`. Within one row the same value gets the same
number everywhere, so that the text keeps its sense. Scrubbing twice changes nothing; a text with nothing to remove is
the same object afterwards. Programs, arithmetic, versions, dates, hashes (also the 40 digits of a commit) and UUIDs
stay: long numbers and random-looking words are no secrets by themselves, only by their format or what stands before.

What stays although it may be private: names and places without a model, postal addresses, passports, birthdays,
passwords of several words, addresses disguised as `first.last[at]web.de`.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from pipeline.hygiene import names
from pipeline.hygiene.credentials import Credentials
from pipeline.hygiene.personal import PersonalData
from pipeline.hygiene.spans import Found, without_overlaps
from pipeline.lib.sections import Kept

# Fields of interactions, feedback and rewrites that people or models wrote; in lists of messages it is `content`.
TEXT_FIELDS = frozenset(
    {"content", "answer", "error", "comment", "edited", "preferred"}
    | {"instruction", "output", "reasoning", "bad_output"}
)
_NESTED = frozenset({"messages", "feedback", "prompt", "chosen", "rejected"})
_PLACEHOLDER = re.compile(rf"<({'|'.join(get_args(Kept))})_(\d+)>")
_REPEATED = 6  # a secret this long is also removed where it stands alone, without what gave it away


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text without secrets and personal data, and how many of each class were removed."""

    text: str
    removed: Counter[str]


@dataclass(frozen=True, slots=True)
class ScrubbedRow:
    """The same of a whole row. `row` is the one that was given, when there was nothing to remove."""

    row: dict[str, Any]
    removed: Counter[str]


class Scrubber:
    """Used from any number of threads. The first text that could hold personal data costs seconds: it imports presidio.

    Args:
        ner_model: spaCy model that finds names and places (installed package or folder); none = a usual one, if
            installed.
        keep: classes that are not removed, such as "IP".

    Raises:
        ConfigurationError: that model is not installed.
    """

    def __init__(self, ner_model: str | None = None, keep: Iterable[str] = ()) -> None:
        self._keep = frozenset(keep)
        self._finders: list[Credentials | PersonalData | names.Names] = [Credentials(), PersonalData()]
        model = names.installed(ner_model)
        if model:
            self._finders.append(names.Names(model))
        self.looks_for_names = model is not None

    def find(self, text: str) -> list[Found]:
        """What would be removed, in the order of the text; what an earlier scrubbing put there does not count."""
        found = [each for finder in self._finders for each in finder.find(text) if each.kind not in self._keep]
        if not found:
            return found
        return without_overlaps(found, (match.span() for match in _PLACEHOLDER.finditer(text)), len(text))

    def scrub(self, text: str) -> Scrubbed:
        """One text."""
        replacing = _Replacing(self, [text])
        return Scrubbed(replacing.scrub(text), replacing.removed)

    def scrub_row(self, row: dict[str, Any]) -> ScrubbedRow:
        """An interaction, a rewrite or a training row, as JSON: everything that people or models wrote in it.

        A `check` stays as it is: it says which answer is right, and is shown to neither teacher nor trainer.
        """
        texts = list(_texts(row))
        replacing = _Replacing(self, texts)
        clean = {text: replacing.scrub(text) for text in texts}
        clean = {text: replacing.repeated(scrubbed) for text, scrubbed in clean.items()}
        return ScrubbedRow(_replaced(row, clean) if replacing.removed else row, replacing.removed)


class _Replacing:
    """Placeholders of texts that belong together: the same value, the same number."""

    def __init__(self, scrubber: Scrubber, texts: list[str]) -> None:
        self._scrubber = scrubber
        self._placeholders: dict[tuple[str, str], str] = {}
        self._last: Counter[str] = Counter()  # the highest number of each class, also of an earlier scrubbing
        for text in texts:
            for match in _PLACEHOLDER.finditer(text) if "_" in text else ():
                self._last[match[1]] = max(self._last[match[1]], int(match[2]))
        self.removed: Counter[str] = Counter()

    def scrub(self, text: str) -> str:
        """Until nothing is found: what was removed may have hidden something beside it."""
        while found := self._scrubber.find(text):
            parts, last = [], 0
            for each in found:
                parts += [text[last : each.start], self._placeholder(each.kind, text[each.start : each.end])]
                last = each.end
                self.removed[each.kind] += 1
            text = "".join([*parts, text[last:]])
        return text

    def repeated(self, text: str) -> str:
        """Secrets of these texts once more, where nothing around them says what they are."""
        for (kind, value), placeholder in self._placeholders.items():
            if kind == "SECRET" and len(value) >= _REPEATED and value in text:
                self.removed[kind] += text.count(value)
                text = text.replace(value, placeholder)
        return text

    def _placeholder(self, kind: str, value: str) -> str:
        same = value if kind == "SECRET" else "".join(filter(str.isalnum, value.casefold()))
        if (kind, same) not in self._placeholders:
            self._last[kind] += 1
            self._placeholders[kind, same] = f"<{kind}_{self._last[kind]}>"
        return self._placeholders[kind, same]


def _texts(value: Any) -> Iterable[str]:
    """Every text of a row that is scrubbed."""
    for each in value if isinstance(value, list) else [value]:
        for key, content in each.items() if isinstance(each, dict) else ():
            if key in TEXT_FIELDS and isinstance(content, str):
                yield content
            elif key in _NESTED:
                yield from _texts(content)


def _replaced(value: Any, clean: dict[str, str]) -> Any:
    """A copy with the clean texts in place of the others."""
    if isinstance(value, list):
        return [_replaced(each, clean) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: clean[content]
        if key in TEXT_FIELDS and isinstance(content, str)
        else _replaced(content, clean)
        if key in _NESTED
        else content
        for key, content in value.items()
    }
