"""`nightschool starter day`: people asking the model things, over HTTP, and finding out whether it was right."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from pipeline.backends.checks.run import judge
from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import jsonl, questions
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, UnavailableError, UsageError
from pipeline.lib.text import normalize
from pipeline.starter import tasks
from pipeline.starter.task import Task

_PEOPLE = 96  # asking at the same time


def day(
    settings: Settings, requests: int, seed: int | None, rate: float, families: Sequence[str] = ("arithmetic",)
) -> dict[str, Any]:
    """Send the questions of one day and post the outcome of each.

    Args:
        settings: where the gateway is.
        requests: how many questions.
        seed: which day; none: one that has not been yet.
        rate: questions a second; 0 = as fast as answers come.
        families: of tasks.

    Raises:
        UnavailableError: the gateway is not there, or did not answer a single question.
        UsageError: no such family.
    """
    if unknown := set(families) - set(tasks.FAMILIES):
        raise UsageError(f"no family of tasks {', '.join(sorted(unknown))}", f"there are {', '.join(tasks.FAMILIES)}")
    client = GatewayClient(settings)
    client.health()
    seed = _next_day(settings) if seed is None else seed
    rows = [*questions.read_holdout(settings), *questions.read_canary(settings)]
    forbidden = {normalize(row["messages"][-1]["content"]) for row in rows}
    started = time.monotonic()

    def ask(numbered: tuple[int, Task]) -> bool | None:
        number, task = numbered
        if rate:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
        return _ask(client, task, f"person-{number % 50}")

    with ThreadPoolExecutor(_PEOPLE) as people:
        outcomes = list(people.map(ask, enumerate(islice(tasks.traffic(seed, forbidden, families), requests))))
    answered = [outcome for outcome in outcomes if outcome is not None]
    if not answered:
        raise UnavailableError("the gateway did not answer a single question", "see logs/nightschool.log")
    return {
        "seed": seed,
        "requests": requests,
        "errors": requests - len(answered),
        "successes": sum(answered),
        "success": round(sum(answered) / len(answered), 4),
        "seconds": round(time.monotonic() - started, 1),
    }


def _ask(client: GatewayClient, task: Task, person: str) -> bool | None:
    """One question, its answer executed, the outcome posted; none when the gateway took no part in it."""
    try:
        answer = client.chat(task.messages, "user", temperature=0, user=person)
    except NightschoolError:
        return None
    outcome = judge(answer["choices"][0]["message"]["content"], task.check)
    said: dict[str, Any] = {"success": outcome.passed is True, "check": task.check}
    if outcome.error:
        said["error"] = outcome.error
    try:
        client.feedback(answer["id"], **said)
    except NightschoolError:
        return None
    return outcome.passed is True


def _next_day(settings: Settings) -> int:
    """One more than the days that have been."""
    return 1 + sum(1 for line in jsonl.read(settings.layout.runs) if line["stage"] == "starter day")
