"""A metrics store as some nights and days leave it."""

import time
from collections.abc import Iterable
from pathlib import Path

from pipeline.metrics.rows import (
    EvolutionMetric,
    FeedbackMetric,
    KpiSnapshot,
    QueryMetric,
    ResourceSample,
    Row,
    Status,
    Strategy,
    SystemEvent,
)
from pipeline.metrics.store import MetricsStore

DAY = 86_400.0
STAGES = ("doctor", "harvest", "build-dataset", "train", "canary", "deploy")


def fill(path: Path, rows: Iterable[Row]) -> Path:
    with MetricsStore(path) as store:
        for row in rows:
            store.add(row)
    assert store.lost == 0
    return path


def a_week(now: float | None = None) -> list[Row]:
    """Seven days of requests, seven nights: deployed, refused, nothing, inconclusive, failed, deployed, rolled back."""
    now = time.time() if now is None else now
    rows: list[Row] = []
    endings: tuple[Status, ...] = (
        "deployed",
        "refused",
        "nothing",
        "inconclusive",
        "failed",
        "deployed",
        "rolled_back",
    )
    for number, status in enumerate(endings):
        began = now - (len(endings) - number) * DAY + 3600
        rows += _a_night(f"r{number}", began, status, 0.5 + 0.05 * number)
        rows += _a_day(number, began - 20_000)
    rows.append(Strategy("starter", "arithmetic", "council", 40, 31, now - 3600))
    return rows


def _a_night(run: str, began: float, status: Status, before: float) -> list[Row]:
    code = {"nothing": 10, "refused": 20, "inconclusive": 21, "rolled_back": 30, "failed": 70}.get(status, 0)
    last = {"nothing": 2, "failed": 3, "refused": 4, "inconclusive": 4}.get(status, 5)
    rows: list[Row] = [
        SystemEvent(
            began + 60 * number,
            "stage",
            stage,
            severity="error" if code >= 64 and number == last else "info",
            run=run,
            exit_code=code if number == last else 0,
            seconds=50.0,
        )
        for number, stage in enumerate(STAGES[: last + 1])
    ]
    trained = status not in ("nothing", "failed")
    judged = trained and status != "inconclusive"
    after = before + (0.08 if status in ("deployed", "rolled_back") else -0.03)
    rows.append(
        EvolutionMetric(
            "starter",
            run,
            "sft",
            status,
            began,
            60.0 * (last + 1),
            generation=run if trained else None,
            performance_before=before if judged else None,
            performance_after=after if judged else None,
            improvement=after - before if judged else None,
            samples=300 if trained else None,
            loss=0.4 if trained else None,
            cpu_percent=180.0 if trained else None,
            memory_used_mb=1500.0 if trained else None,
            gpu_memory_used_mb=9000.0 if trained else None,
            network_mb=3.0 if trained else None,
        )
    )
    rows.append(
        KpiSnapshot(
            "starter",
            began + 500,
            run,
            held_out_success=after if judged else None,
            live_success_rate=before,
            satisfaction_rate=0.8,
            error_rate=0.02,
            latency_ms=900.0,
            rewrite_success_rate=0.6,
        )
    )
    rows += [ResourceSample(began + 180 + 5 * step, run, "train", 150.0, 1400.0 + step) for step in range(10)]
    return rows


def _a_day(number: int, began: float) -> list[Row]:
    rows: list[Row] = []
    for request in range(40):
        identity = f"{number}-{request}"
        rows.append(
            QueryMetric(
                identity,
                began + request,
                "starter",
                latency_ms=20.0 * (request + 1),
                tokens=12,
                error="timeout" if request == 7 else None,
                history=int(request % 5 == 0),
                tools=int(request % 3 == 0),
            )
        )
        if request % 4 == 0:
            rows.append(FeedbackMetric(identity, began + request + 30, "starter", thumb=1 if request % 8 else -1))
    return rows
