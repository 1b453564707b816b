"""How a night ended, as its lines in logs/runs.jsonl tell it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.lib.errors import AwaitingApproval, ExitCode
from pipeline.lib.runs import NIGHT, night_of
from pipeline.lib.sections import Event

_DONE: dict[str, Event] = {"train": "trained", "deploy": "deployed", "rollback": "rolled-back"}
_EARLY: dict[int, Event] = {
    ExitCode.NOTHING_TO_DO: "nothing-to-do",
    ExitCode.REFUSED: "refused",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.ROLLED_BACK: "rolled-back",
}


@dataclass(frozen=True, slots=True)
class NightEnd:
    """The event that a night came to, the line that says so, and all lines of its stages."""

    event: Event
    line: dict[str, Any]
    stages: list[dict[str, Any]]

    @property
    def unfinished(self) -> bool:
        """Whether its last stage went well, and the next one never came."""
        return self.event == "failed" and self.line["exit_code"] == ExitCode.DONE

    @property
    def by_hand(self) -> bool:
        """Whether somebody only looked, or rolled back."""
        return self.line["exit_code"] == ExitCode.DONE and self.line["stage"] in ("doctor", "rollback")

    @property
    def candidate(self) -> str:
        """The generation that it was about."""
        outputs = self.line["outputs"]
        return str(outputs.get("to") or outputs.get("candidate") or self.line["run"])


def end_of(lines: Iterable[dict[str, Any]]) -> NightEnd | None:
    """How the night with these lines ended; none: no stage ran.

    The last stage counts: a night stops where it fails, and what is done about it later, such as an approval, is newer.
    """
    stages = [line for line in lines if line["stage"] in NIGHT]
    return NightEnd(_event(stages[-1]), stages[-1], stages) if stages else None


def in_a_row(lines: Iterable[dict[str, Any]], night: str) -> int:
    """How many nights up to this one ended alike: with the same event, in the same stage, with the same exit code.

    What somebody did by hand in between is no night of its own; asked about such a one, it stands alone.
    """
    nights: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line["stage"] in NIGHT and night_of(line["run"]) <= night:
            nights.setdefault(night_of(line["run"]), []).append(line)
    count, wanted = 0, None
    for each, stages in sorted(nights.items(), reverse=True):
        end = end_of(stages)
        if end is None or (end.by_hand and each != night):
            continue
        seen = (end.event, end.line["stage"], end.line["exit_code"])
        wanted = wanted or seen
        if seen != wanted:
            break
        count += 1
    return count


def _event(line: dict[str, Any]) -> Event:
    if line["status"] == AwaitingApproval.__name__:
        return "awaiting-approval"
    if line["exit_code"] == ExitCode.DONE:
        return _DONE.get(line["stage"], "failed")
    return _EARLY.get(line["exit_code"], "failed")
