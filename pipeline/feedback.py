"""feedback: what somebody thinks of an answer, and how satisfied people are.

reads   `logs/interactions/*.jsonl`
writes  one feedback line there, and a row of `logs/metrics.sqlite`: through the running gateway, or directly
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError, UsageError
from pipeline.lib.identities import beginning, only
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems
from pipeline.lib.records import Feedback, Record
from pipeline.metrics import logged
from pipeline.metrics.store import MetricsStore

Row = dict[str, Any]


class _Logged(Record):
    """What is needed of an interaction's line."""

    id: str
    adapter: str | None = None


class _Said(Feedback):
    """A feedback line."""

    interaction_id: str


def give(settings: Settings, identity: str, said: Row) -> Row:
    """Record feedback; it is on the disk when this returns.

    Args:
        settings: where the gateway and its log are.
        identity: the interaction's id as the answer carried it, or a unique beginning of it.
        said: any of `thumb` (1 or −1), `comment`, `edited`, `success`.

    Raises:
        UsageError: nothing was said, it does not fit, or the id is too short, unknown, or the beginning of several.
        BadRecordError: the log cannot be read, or the gateway refused.
        DiskError: the log cannot be written.
    """
    said = {key: value for key, value in said.items() if value is not None}
    if not said:
        raise UsageError("feedback says nothing", "give --thumb, --comment, --edited, --success or --failed")
    try:
        Feedback.model_validate(said)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}") from error
    interaction = _resolved(settings.layout, identity)
    try:
        GatewayClient(settings, timeout=10).feedback(interaction, **said)
    except UnavailableError as error:
        logger.info("%s; feedback goes into the log directly", error)
        now = time.time()
        record = {"kind": "feedback", "interaction_id": interaction, "at": now, **said}
        jsonl.append(settings.layout.interactions / f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}.jsonl", [record])
        with MetricsStore.of(settings) as store:
            store.add(logged.feedback(record, settings.model.name))
        return {"interaction": interaction, "recorded": "in the log: no gateway is running", **said}
    return {"interaction": interaction, "recorded": "by the gateway", **said}


def rate(settings: Settings, days: float) -> Row:
    """How many of the thumbs of the last days are up: of all, and of each version's answers.

    An answer that somebody wrote anew counts as down, whatever the thumb says. Of several things said about an answer
    the last counts. `interval` is Wilson's, at 95 %; rate and interval are none where nobody said anything.
    """
    problems = Problems()
    since = time.time() - days * 86_400
    versions: dict[str, str] = {}
    opinions: dict[str, _Said] = {}
    for place, line in _lines(settings.layout):
        try:
            if line.get("kind") == "feedback":
                said = _Said.model_validate(line)
                if (said.at or 0) >= since:
                    opinions[said.interaction_id] = _merged(opinions.get(said.interaction_id), said)
            else:
                logged = _Logged.model_validate(line)
                versions[logged.id] = logged.adapter or "unknown"
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            problems.add(f"cannot be read: {where}", place)
    by_version: dict[str, list[_Said]] = {}
    for identity, said in opinions.items():
        by_version.setdefault(versions.get(identity, "unknown"), []).append(said)
    return {
        "days": days,
        **_counted(list(opinions.values())),
        "versions": {version: _counted(by_version[version]) for version in sorted(by_version)},
        "problems": problems.to_json(),
    }


def _merged(earlier: _Said | None, said: _Said) -> _Said:
    return said if earlier is None else earlier.model_copy(update=said.model_dump(exclude_none=True))


def _counted(opinions: list[_Said]) -> Row:
    """Ups and downs. An edited answer is one down, with or without a thumb."""
    edited = sum(bool(each.edited) for each in opinions)
    up = sum(each.thumb == 1 and not each.edited for each in opinions)
    down = edited + sum(each.thumb == -1 and not each.edited for each in opinions)
    interval = _wilson(up, up + down)
    return {
        "up": up,
        "down": down,
        "edited": edited,
        "rate": round(up / (up + down), 4) if up + down else None,
        "interval": interval,
    }


def _wilson(up: int, total: int) -> list[float] | None:
    if not total:
        return None
    from scipy.stats import binomtest

    interval = binomtest(up, total).proportion_ci(confidence_level=0.95, method="wilson")
    return [round(float(interval.low), 4), round(float(interval.high), 4)]


def _resolved(layout: Layout, identity: str) -> str:
    """The one logged interaction whose id begins so."""
    wanted = beginning(identity)
    ids = (str(line.get("id", "")) for _, line in _lines(layout) if line.get("kind") != "feedback")
    return only(identity, (each for each in ids if each.startswith(wanted)))


def _lines(layout: Layout) -> Iterator[tuple[str, Row]]:
    for path in sorted(layout.interactions.glob("*.jsonl")):
        for number, line in jsonl.read_numbered(path):
            yield f"{path} line {number}", line
