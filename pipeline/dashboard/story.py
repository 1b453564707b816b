"""What is read when a page asks for it: the report of a night, answers side by side, the numbers of the store.

reads   what `nightschool report` reads; `loras/*/canary.jsonl`; `logs/metrics.sqlite`
"""

import re
import time
from collections.abc import Iterable
from typing import Any

from pipeline.dashboard import nights
from pipeline.dashboard.actions import IDENTITY
from pipeline.dashboard.activity import secrets_of, without
from pipeline.dashboard.shapes import Answers, Json, Metrics, Only, Report
from pipeline.lib import generations, side_by_side
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, UsageError
from pipeline.lib.files import read_json
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout
from pipeline.lib.text import visible
from pipeline.metrics import evolutions, kpis, traffic
from pipeline.metrics.store import reading
from pipeline.report import report as night_report

_PAGE = 20  # answers
_SWAPS = 20  # lines of the ledger
_LONGEST = 4000  # characters of a question or an answer


def report(settings: Settings, run: str | None) -> Report:
    """The story of a night, and every generation.

    Raises:
        UsageError: there is no such night; without `run` an empty report says that there is none yet.
    """
    found: Report = {
        "night": None,
        "generations": [],
        "promotions": [],
        "rollback": None,
        "problem": None,
        "timestamp": time.time(),
    }
    try:
        if nights.last_stages(nights.lines(settings.layout)) or run:
            found["night"] = night_report(settings, run)
        found["generations"] = nights.rows(settings)
        found["promotions"] = generations.ledger(settings.layout)[: -_SWAPS - 1 : -1]
        found["rollback"] = _rollback(settings.layout)
    except UsageError:
        raise
    except NightschoolError as error:
        found["problem"] = str(error)
    cleaned: Report = _cleaned(found, secrets_of(settings))
    return cleaned


def _rollback(layout: Layout) -> Json | None:
    path = layout.current / "rollback_summary.json"
    return read_json(path) if path.is_file() else None


def metrics(settings: Settings, days: int) -> Metrics:
    """What the store says about the last days, and the newest KPIs."""
    now, agent = time.time(), settings.model.name
    found: Metrics = {
        "days": days,
        "agent": agent,
        "week": {},
        "kpis": {},
        "evolution": {},
        "problem": None,
        "timestamp": now,
    }
    try:
        with reading(settings.layout.metrics) as db:
            db.execute("BEGIN")
            found["week"] = traffic.week(db, days, now, agent)
            found["kpis"] = kpis.latest(db, agent)
            found["evolution"] = evolutions.success_rate(db, agent)
    except NightschoolError as error:
        found["problem"] = str(error)
    return found


def answers(settings: Settings, first: str, second: str, only: Only, offset: int) -> Answers:
    """Answers of two generations to the same questions.

    Raises:
        UsageError: there is no such generation.
    """
    layout = settings.layout
    sides = [_generation(layout, identity) for identity in (first, second)]
    rows = side_by_side.between(layout, sides[0], sides[1]) if sides[0].id != sides[1].id else []
    kinds = [_kind(row) for row in rows]
    counts: dict[Only, int] = {
        "all": len(rows),
        "won": kinds.count("won"),
        "lost": kinds.count("lost"),
        "same": kinds.count("same"),
    }
    chosen = [row for row, kind in zip(rows, kinds, strict=True) if only in ("all", kind)]
    shown = [{**row, "kind": _kind(row)} for row in chosen[offset : offset + _PAGE]]
    return {
        "first": sides[0].id,
        "second": sides[1].id,
        "only": only,
        "counts": counts,
        "offset": offset,
        "answers": _cleaned(shown, secrets_of(settings)),
    }


def _generation(layout: Layout, identity: str) -> Generation:
    if not re.match(IDENTITY, identity):
        raise UsageError("no such generation", "see `nightschool versions list`")
    return generations.read(layout, identity)


def _kind(row: dict[str, Any]) -> Only:
    before, after = bool(row["first"]["passed"]), bool(row["second"]["passed"])
    return "same" if before == after else "won" if after else "lost"


def clean(text: str) -> str:
    """A text for the page: nothing invisible in it, no logins."""
    return visible(without(text, ()), _LONGEST)


def _cleaned(value: Any, secrets: Iterable[str]) -> Any:
    """The same in every text of a JSON value, without the secrets; what is very long is cut."""
    if isinstance(value, str):
        return visible(without(value, secrets), _LONGEST, lines=True)
    if isinstance(value, dict):
        return {key: _cleaned(each, secrets) for key, each in value.items()}
    return [_cleaned(each, secrets) for each in value] if isinstance(value, list) else value
