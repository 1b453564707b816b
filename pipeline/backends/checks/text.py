"""`{"type": "text", "equals" | "contains": "…"}` and `{"type": "regex", "pattern": "…"}`."""

from pipeline.backends.checks.interface import Outcome, Specification
from pipeline.backends.checks.patterns import TOO_LONG, found, require_usable
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
            require_usable(specification["pattern"])
        except (KeyError, ValueError) as error:
            raise ValueError(f"check regex: {error}") from error

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Right when the pattern is found (`forbid: true`: when it is not)."""
        try:
            passed = found(specification["pattern"], answer) != bool(specification.get("forbid", False))
        except TimeoutError:
            return Outcome(False, None, TOO_LONG)
        return Outcome(passed, normalize(answer), None if passed else "the pattern decides against it")
