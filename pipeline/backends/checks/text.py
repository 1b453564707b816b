"""`{"type": "text", "equals" | "contains": "…"}` and `{"type": "regex", "pattern": "…"}`."""

import re

from pipeline.backends.checks.interface import Outcome, Specification
from pipeline.lib.text import normalize


class TextCheck:
    """Compares normalised text."""

    def validate(self, specification: Specification) -> None:
        """Exactly one of `equals` and `contains`."""
        given = [key for key in ("equals", "contains") if isinstance(specification.get(key), str)]
        if len(given) != 1:
            raise ValueError("check text: give equals or contains")

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Right when the normalised answer equals, or contains, the normalised text."""
        said = normalize(answer)
        if isinstance(specification.get("equals"), str):
            passed = said == normalize(specification["equals"])
        else:
            passed = normalize(specification["contains"]) in said
        return Outcome(passed, said, None if passed else "the text differs")


class RegexCheck:
    """Searches a pattern."""

    def validate(self, specification: Specification) -> None:
        """`pattern` must compile."""
        try:
            re.compile(specification["pattern"])
        except (KeyError, TypeError, OverflowError, RecursionError, re.error) as error:
            raise ValueError(f"check regex: pattern is unusable ({error})") from error

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Right when the pattern is found (`forbid: true`: when it is not)."""
        found = re.search(specification["pattern"], answer) is not None
        passed = found != bool(specification.get("forbid", False))
        return Outcome(passed, normalize(answer), None if passed else "the pattern decides against it")
