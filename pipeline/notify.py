"""notify: tell people how a night ended, once, and only if it is worth waking for (`notify.events`).

reads   `logs/runs.jsonl`, manifest, verdict and deployment of the night's generation; asks the gateway what it serves
writes  `logs/notified.jsonl`: who was told of which ending
sends   one message to everybody in `[notify]`; whoever cannot be reached is a warning
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.notifiers import choice
from pipeline.backends.notifiers.interface import Message, Notifier
from pipeline.backends.notifiers.night import compose
from pipeline.lib import generations, jsonl, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError, NothingToDo, UnavailableError
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems

_HOW = "docs/alerts.md shows how in two minutes"
_OUTWEIGHED = ("failed", "rolled-back")  # worse than a server that differs from the disk


def notify(settings: Settings, run: str, dry_run: bool, again: bool = False) -> dict[str, Any]:
    """Send the message about a run's night to everybody who has not been told.

    Args:
        settings: who is told, and of which events.
        run: a run of the night.
        dry_run: only say what would be sent.
        again: also to those who were told already.

    Raises:
        NothingToDo: nobody is to be told, of nothing, or everybody was told before.
    """
    layout = settings.layout
    message = _with_server(settings, compose(settings, run, _lines(layout.runs)))
    if dry_run:
        return {"dry_run": True, "event": message.event, **_shown(message)}
    notifiers = choice.configured(settings.notify)
    if not notifiers:
        raise NothingToDo("no webhook or e-mail address is configured", f"set NOTIFICATION_WEBHOOK; {_HOW}")
    if message.event not in settings.notify.events:
        raise NothingToDo(f"{message.event} is not among notify.events", "nobody was told")
    told = set() if again else _told(settings, run, message.event)
    waiting = {name: notifier for name, notifier in notifiers.items() if name not in told}
    if not waiting:
        raise NothingToDo(f"everybody was told before: {message.title}", "`nightschool notify --again` tells it again")
    problems = _send(settings, waiting, message)
    sent = [name for name, problem in problems.items() if not problem]
    record = {"at": time.time(), "night": runs.night_of(run), "event": message.event, "sent": sent}
    jsonl.append(layout.notified, [record])
    for name, problem in problems.items():
        if problem:
            logger.warning("%s: %s", name, problem)
    if not sent:
        return {"sent": False, "reason": "; ".join(f"{name}: {problem}" for name, problem in problems.items())}
    return {"sent": True, "by": ", ".join(sent), "title": message.title}


def tell(settings: Settings, run: str) -> None:
    """Send the message about what somebody has asked for by hand; whatever comes of it, that has been done.

    Args:
        settings: who is told, and of which events.
        run: under which it was done.
    """
    try:
        notify(settings, run, dry_run=False)
    except NothingToDo as nothing:
        logger.info("nobody is told: %s", nothing)
    except Exception as error:  # such as a full disk: no reason to call a deployment or a rollback failed
        logger.warning("not everybody may have been told: %s: %s", type(error).__name__, error)


def try_out(settings: Settings, dry_run: bool) -> dict[str, Any]:
    """Send everybody a test message.

    Returns:
        name of the notifier → what became of it.

    Raises:
        NothingToDo: nobody is configured.
        UnavailableError: somebody did not get it.
    """
    notifiers = choice.configured(settings.notify)
    if not notifiers:
        raise NothingToDo("no webhook or e-mail address is configured", f"set NOTIFICATION_WEBHOOK; {_HOW}")
    message = Message(
        "a test: you will be told here how the nights end",
        "Nothing has happened.",
        {"told": ", ".join(settings.notify.events)},
        "Nothing. What was last told: `nightschool notify --dry-run`.",
        at=time.time(),
        link=settings.notify.link or "",
    )
    if dry_run:
        return dict.fromkeys(notifiers, "would be sent a test message")
    problems = _send(settings, notifiers, message)
    missed = {name: problem for name, problem in problems.items() if problem}
    if missed:
        arrived = ", ".join(name for name in problems if name not in missed) or "nobody"
        reasons = "; ".join(f"{name}: {problem}" for name, problem in missed.items())
        raise UnavailableError(f"{reasons}; arrived: {arrived}", "see docs/alerts.md")
    return dict.fromkeys(problems, "arrived")


def _send(settings: Settings, notifiers: dict[str, Notifier], message: Message) -> dict[str, str]:
    return choice.send_all(notifiers, message, 30 + 6 * settings.notify.timeout)


def _told(settings: Settings, run: str, event: str) -> set[str]:
    """Who has been told of this ending."""
    wanted = (runs.night_of(run), event)
    return {
        name
        for line in _lines(settings.layout.notified)
        if (line["night"], line["event"]) == wanted
        for name in line["sent"]
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    """What can be read of a log; a damaged line may be why the night failed."""
    return list(jsonl.read_tolerant(path, Problems())) if path.exists() else []


def _with_server(settings: Settings, message: Message) -> Message:
    """What the server answers with; if that is not what the disk says, nothing but a failure is more important."""
    try:
        disk = generations.incumbent(settings.layout)
    except NightschoolError:  # damaged: the message says so
        return message
    try:
        health = GatewayClient(settings, timeout=5).health()
    except NightschoolError:
        return replace(message, facts={**message.facts, "server": "does not answer"})
    serving = health.get("adapter", "no word of a version")
    if (serving, health.get("adapter_sha256")) == (disk.id, disk.sha256):
        return message
    message = replace(message, facts={**message.facts, "server": f"answers with {serving}"})
    if message.event in _OUTWEIGHED or "server-differs" not in settings.notify.events:
        return message
    return replace(
        message,
        event="server-differs",
        severity="bad",
        title=f"the server answers with {serving}, the disk says {disk.id}",
        text=f"The night itself: {message.title}. {message.text}",
        next_step="`nightschool status`, then restart `nightschool serve`.",
    )


def show(result: dict[str, Any]) -> None:
    """Print the message as people would read it, or what became of it."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for name, value in result.items():
        if not isinstance(value, dict):
            console.print(f"{name}: {value}")
            continue
        console.print(f"{name}:")
        for fact, told in value.items():
            console.print(f"  {fact}: {told}")


def _shown(message: Message) -> dict[str, Any]:
    return {
        "title": message.title,
        "text": message.text,
        "facts": message.facts,
        "next_step": message.next_step,
        "severity": message.severity,
    }
