"""What was measured of each model, in logs/models.json: whether it answered last, and how fast and how well in tests.

reads   logs/models.json
writes  logs/models.json (several processes may)
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from pipeline.lib.errors import BadRecordError
from pipeline.lib.files import locked, read_json, write_json
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.text import without_logins

KEPT = 5  # tests of one model that are remembered
_REST, _LONGEST_REST = 60.0, 3600.0  # seconds after a first failure, and after many
_LONGEST_ERROR = 300  # characters


@dataclass(frozen=True, slots=True)
class Exam:
    """One `models test`.

    `results` holds for each capability {"passed": how many questions, "of": how many were asked} or
    {"not_run": why}; `tokens_per_second` and `latency` (seconds until a short answer is there) are none where nothing
    could be measured.
    """

    at: float
    tokens_per_second: float | None
    latency: float | None
    results: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one model; moments are seconds since 1970."""

    last_success: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    failures: int = 0  # since it last answered
    tests: tuple[Exam, ...] = field(default=())  # the newest last

    @property
    def tokens_per_second(self) -> float | None:
        """Median of the last tests."""
        return _median(each.tokens_per_second for each in self.tests)

    @property
    def latency(self) -> float | None:
        """Median of the last tests, in seconds."""
        return _median(each.latency for each in self.tests)

    def resting(self, now: float | None = None) -> bool:
        """Whether it failed just now; after more failures "just now" is longer, up to an hour."""
        if not self.failures or self.last_error_at is None:
            return False
        passed = (time.time() if now is None else now) - self.last_error_at
        return 0 <= passed < min(_REST * 2.0 ** min(self.failures - 1, 10), _LONGEST_REST)

    def passed(self, capability: str) -> bool | None:
        """Whether the latest test that asked for it was passed, more than half of its questions; none: never asked."""
        for exam in reversed(self.tests):
            result = exam.results.get(capability, {})
            if "passed" in result:
                return bool(2 * result["passed"] > result["of"])
        return None


def read(layout: Layout) -> dict[str, Facts]:
    """The facts by key; a file that cannot be read is as good as none, it can be measured again."""
    try:
        models = read_json(layout.models)["models"] if layout.models.exists() else {}
        return {key: _facts(record) for key, record in models.items()}
    except (BadRecordError, LookupError, TypeError, AttributeError, ValueError) as error:
        logger.warning("%s is not used: %s", layout.models, error)
        return {}


def answered(layout: Layout, key: str) -> None:
    """It answered just now."""
    _change(layout, key, lambda facts: replace(facts, last_success=time.time(), failures=0))


def failed(layout: Layout, key: str, error: str) -> None:
    """It failed just now."""
    words = without_logins(error)[:_LONGEST_ERROR]
    _change(
        layout,
        key,
        lambda facts: replace(facts, last_error=words, last_error_at=time.time(), failures=facts.failures + 1),
    )


def tested(layout: Layout, key: str, exam: Exam) -> None:
    """It answered, and this is how fast and how well."""

    def change(facts: Facts) -> Facts:
        return replace(facts, last_success=exam.at, failures=0, tests=(*facts.tests, exam)[-KEPT:])

    _change(layout, key, change)


def _change(layout: Layout, key: str, change: Callable[[Facts], Facts]) -> None:
    with locked(layout.lock("models"), "another change of logs/models.json", wait=True):
        facts = read(layout)
        facts[key] = change(facts.get(key, Facts()))
        write_json(layout.models, {"models": {each: asdict(known) for each, known in facts.items()}})


def _facts(record: dict[str, Any]) -> Facts:
    return Facts(**{**record, "tests": tuple(Exam(**each) for each in record["tests"])})


def _median(values: Any) -> float | None:
    found = [each for each in values if each is not None]
    return median(found) if found else None
