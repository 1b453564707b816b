"""What the nights have brought, asked of the store; and what that says about the next one.

Every function takes an open connection and gives plain dicts and lists. `agent` is a model's name, None all of them;
times are in seconds since 1970, shares 0 to 1, intervals Wilson's.
"""

import sqlite3
from datetime import UTC, datetime
from typing import Any

from pipeline.lib.signals import NOT_THE_MODELS
from pipeline.metrics.intervals import wilson

ENDED = ("failed", "refused", "inconclusive", "deployed", "rolled_back")  # "trained" still waits, "nothing" never began

_DAY, _HOUR = 86_400.0, 3600.0  # seconds
_SURE = 0.99  # confidence of what is acted on
_NEWEST = 100_000  # requests and opinions that are looked at one by one: more make nothing surer, only slower
_FEWEST = 20  # answers without which nothing is sure: Wilson's interval is too short for fewer


def calculate_efficiency(improvement: float | None, seconds: float) -> float | None:
    """Improvement an hour; none where there is no improvement to speak of, or no time was measured."""
    return None if improvement is None or seconds <= 0 else improvement / (seconds / _HOUR)


def history(db: sqlite3.Connection, agent: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """The nights with all their columns, the newest first."""
    return _nights(db, agent, "ORDER BY started_at DESC, run DESC LIMIT :limit", limit=limit)


def top(db: sqlite3.Connection, agent: str | None = None, limit: int = 10) -> list[dict[str, Any]]:
    """The nights whose generation was deployed and stayed, the largest improvement first."""
    kept = "AND status = 'deployed' AND improvement IS NOT NULL"
    return _nights(db, agent, f"{kept} ORDER BY improvement DESC, started_at LIMIT :limit", limit=limit)


def success_rate(
    db: sqlite3.Connection, agent: str | None = None, days: float | None = None, now: float | None = None
) -> dict[str, Any]:
    """Of the attempts that have ended, how many were deployed and stayed.

    {attempts, deployed, rate, interval, statuses}; rate and interval are none where no attempt has ended.
    Nights on which there was nothing to do are no attempts, nor is a candidate that still waits; `statuses` counts
    them all. `days` counts back from `now`; without both the whole past.
    """
    since = now - days * _DAY if days is not None and now is not None else float("-inf")
    rows = db.execute(
        "SELECT status, COUNT(*) AS nights FROM evolution_metrics "
        "WHERE started_at >= ? AND (? IS NULL OR agent = ?) GROUP BY status ORDER BY status",
        [since, agent, agent],
    )
    statuses = {str(row["status"]): int(row["nights"]) for row in rows}
    attempts, deployed = sum(statuses.get(each, 0) for each in ENDED), statuses.get("deployed", 0)
    return {
        "attempts": attempts,
        "deployed": deployed,
        "rate": deployed / attempts if attempts else None,
        "interval": wilson(deployed, attempts),
        "statuses": statuses,
    }


def trends(db: sqlite3.Connection, days: float, now: float) -> list[dict[str, Any]]:
    """What stages took, a line a day (UTC, on which they began) and stage: mean CPU, the most memory, all network."""
    rows = db.execute(
        """
        WITH one AS (
            SELECT stage, date(MIN(at), 'unixepoch') AS day, COUNT(*) AS samples, SUM(cpu_percent) AS cpu,
                COUNT(cpu_percent) AS cpu_samples, MAX(memory_used_mb) AS memory, MAX(gpu_memory_used_mb) AS gpu,
                MAX(network_sent_mb + network_received_mb) AS network
            FROM resource_samples WHERE at >= ? AND at <= ? GROUP BY run, stage
        )
        SELECT day, stage, COUNT(*) AS runs, SUM(samples) AS samples, SUM(cpu) / SUM(cpu_samples) AS cpu_percent,
            MAX(memory) AS memory_used_mb, MAX(gpu) AS gpu_memory_used_mb, SUM(network) AS network_mb
        FROM one GROUP BY day, stage ORDER BY day, stage
        """,
        [now - days * _DAY, now],
    )
    return [dict(row) for row in rows]


def trajectory(db: sqlite3.Connection, agent: str) -> list[dict[str, Any]]:
    """Fitness night by night, the oldest first: {run, started_at, status, candidate, serving, best}.

    Held-out success of the candidate, of what served after that night, and the best that ever served. Nights on which
    nothing was compared are left out.
    """
    compared = "AND performance_before IS NOT NULL AND performance_after IS NOT NULL"
    found: list[dict[str, Any]] = []
    best = 0.0
    for row in _nights(db, agent, f"{compared} ORDER BY started_at, run"):
        serving = row["performance_after" if row["status"] == "deployed" else "performance_before"]
        best = max(best, serving)
        told = {name: row[name] for name in ("run", "started_at", "status")}
        found.append({**told, "candidate": row["performance_after"], "serving": serving, "best": best})
    return found


def should_evolve(
    db: sqlite3.Connection,
    agent: str,
    now: float,
    *,
    least_failures: int = 5,
    target: float = 0.85,
    hours: float = 20.0,
    days: int = 7,
) -> dict[str, Any]:
    """Whether another night is worth its work: {should, reason, failures, hours_since, live}.

    It is when something has failed `least_failures` times since the last attempt, or the live success of the last
    `days` days is surely under the target; never within `hours` of the last attempt.
    """
    last = _last_attempt(db, agent)
    since = None if last is None else (now - last) / _HOUR
    failures = _failures(db, agent, max(last or 0.0, now - days * _DAY))
    live = _live(db, agent, days, now)
    numbers = {"failures": failures, "hours_since": since, "live": live}
    if since is not None and 0 <= since < hours:
        return {"should": False, "reason": f"the last attempt was {since:.1f} hours ago, wait for {hours:g}", **numbers}
    if failures >= least_failures:
        return {"should": True, "reason": f"{failures} failures since the last attempt, {least_failures} do", **numbers}
    if live["interval"] and live["interval"][1] < target:
        return {"should": True, "reason": f"live success {_told(live)} is surely under {target:.0%}", **numbers}
    reason = f"{failures} failures since the last attempt, {least_failures} needed"
    return {"should": False, "reason": reason, **numbers}


def should_retire(
    db: sqlite3.Connection, agent: str, now: float, *, adapter: str | None = None, days: int = 7, attempts: int = 10
) -> dict[str, Any]:
    """Whether an adapter has had its time: {should, reason, adapter, promised, live, base, attempts}.

    It has when its live success is surely (99 %) under the bare base model's or under what it was promoted with, or
    when `attempts` nights since have ended without a better one: then another way of training is due.

    Args:
        db, agent, now: the store, the model, seconds since 1970.
        adapter: the generation; none: the one deployed last.
        days: how far back live answers count, the newest 100,000 of them at most.
        attempts: nights that may end without a better one.
    """
    chosen = "AND status = 'deployed' AND (:adapter IS NULL OR generation = :adapter)"
    nights = _nights(db, agent, f"{chosen} ORDER BY started_at DESC LIMIT 1", adapter=adapter)
    if not nights:
        return {"should": False, "reason": "no adapter is deployed", "adapter": adapter}
    night = nights[0]
    live = _live_by_adapter(db, agent, now - days * _DAY)
    own, base = (live.get(each) or _share(0, 0) for each in (night["generation"], "base"))
    tried = _attempts_since(db, agent, night["started_at"])
    promised = night["performance_after"]
    numbers = {"adapter": night["generation"], "promised": promised, "live": own, "base": base, "attempts": tried}
    if own["interval"] and base["interval"] and own["interval"][1] < base["interval"][0]:
        return {"should": True, "reason": f"live success {_told(own)} is under the base's {_told(base)}", **numbers}
    if own["interval"] and promised is not None and own["interval"][1] < promised:
        return {"should": True, "reason": f"live success {_told(own)} is under the promised {promised:.0%}", **numbers}
    if tried >= attempts:
        return {"should": True, "reason": f"{tried} attempts since have brought nothing better", **numbers}
    return {"should": False, "reason": f"live success {_told(own)}, {tried} attempts since", **numbers}


def _nights(db: sqlite3.Connection, agent: str | None, rest: str, **values: Any) -> list[dict[str, Any]]:
    """Only constants of this module become part of the statement."""
    statement = f"SELECT * FROM evolution_metrics WHERE (:agent IS NULL OR agent = :agent) {rest}"
    rows = db.execute(statement, {"agent": agent, **values})
    return [{name: value for name, value in dict(row).items() if name != "id"} for row in rows]


def _last_attempt(db: sqlite3.Connection, agent: str) -> float | None:
    """When the last night began on which there was something to do."""
    row = db.execute("SELECT MAX(started_at) FROM evolution_metrics WHERE agent = ? AND status <> 'nothing'", [agent])
    found: float | None = row.fetchone()[0]
    return found


def _attempts_since(db: sqlite3.Connection, agent: str, moment: float) -> int:
    marks = ", ".join("?" * len(ENDED))
    row = db.execute(
        f"SELECT COUNT(*) FROM evolution_metrics WHERE agent = ? AND started_at > ? AND status IN ({marks})",
        [agent, moment, *ENDED],
    )
    return int(row.fetchone()[0])


def _failures(db: sqlite3.Connection, agent: str, since: float) -> int:
    """Of the newest interactions, those that failed, were wrong, disliked or written anew; each once."""
    excused = ", ".join(f"'{kind}'" for kind in NOT_THE_MODELS)
    row = db.execute(
        f"""
        SELECT COUNT(*) FROM (
            SELECT interaction_id FROM (
                SELECT * FROM query_metrics WHERE agent = :agent AND at > :since ORDER BY at DESC LIMIT :newest
            ) WHERE error NOT IN ({excused}) OR success = 0
            UNION
            SELECT interaction_id FROM (
                SELECT * FROM feedback_metrics WHERE agent = :agent AND at > :since ORDER BY at DESC LIMIT :newest
            ) WHERE thumb = -1 OR edited OR success = 0
        )
        """,
        {"agent": agent, "since": since, "newest": _NEWEST},
    )
    return int(row.fetchone()[0])


def _live(db: sqlite3.Connection, agent: str, days: int, now: float) -> dict[str, Any]:
    """Answers of the last days that turned out right or wrong, by the daily sums."""
    first = datetime.fromtimestamp(now - days * _DAY, UTC).date().isoformat()
    row = db.execute(
        "SELECT SUM(successes), SUM(successes + failures) FROM daily_feedback WHERE agent = ? AND day > ?",
        [agent, first],
    ).fetchone()
    return _share(row[0] or 0, row[1] or 0)


def _live_by_adapter(db: sqlite3.Connection, agent: str, since: float) -> dict[str, dict[str, Any]]:
    """The same of each adapter's newest answers; of several things said about an answer the last counts."""
    rows = db.execute(
        """
        WITH said AS MATERIALIZED (
            SELECT interaction_id, success, MAX(at) FROM (
                SELECT interaction_id, success, at FROM feedback_metrics
                WHERE at >= :since AND success IS NOT NULL ORDER BY at DESC LIMIT :newest
            ) GROUP BY interaction_id
        ), asked AS MATERIALIZED (
            SELECT interaction_id, adapter FROM query_metrics
            WHERE at >= :since AND agent = :agent ORDER BY at DESC LIMIT :newest
        )
        SELECT adapter, SUM(success) AS successes, COUNT(*) AS total
        FROM asked JOIN said USING (interaction_id) WHERE adapter IS NOT NULL GROUP BY adapter
        """,
        {"agent": agent, "since": since, "newest": _NEWEST},
    )
    return {str(row["adapter"]): _share(row["successes"], row["total"]) for row in rows}


def _share(successes: int, total: int) -> dict[str, Any]:
    rate = successes / total if total else None
    interval = wilson(successes, total, _SURE) if total >= _FEWEST else None
    return {"successes": successes, "total": total, "rate": rate, "interval": interval}


def _told(share: dict[str, Any]) -> str:
    return f"{share['rate']:.0%} of {share['total']}" if share["total"] else "not measured"
