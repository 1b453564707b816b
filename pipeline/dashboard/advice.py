"""What a person should know or do, in words; the most urgent first. Pure: it is told the state."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pipeline.dashboard.shapes import Advice, Night, Outcome, ServiceStatus, Severity
from pipeline.reporting.nights import STAGES

_LATE = 26 * 3600  # seconds; a nightly job has an hour or two of play
_ORDER: dict[Severity, int] = {"bad": 0, "warning": 1, "info": 2, "good": 3}
_TITLES: dict[Outcome, tuple[Severity, str]] = {
    "deployed": ("good", "The model learned something last night, and serves."),
    "refused": ("info", "Last night's candidate was refused. The model is what it was."),
    "inconclusive": ("info", "Too little evidence last night. The model is what it was."),
    "awaiting": ("info", "Last night's candidate passed its exam and waits."),
    "rejected": ("info", "Last night's candidate was rejected. The model is what it was."),
    "lapsed": ("info", "Nobody approved last night's candidate in time. The model is what it was."),
    "rolled_back": ("warning", "Last night's model was deployed, failed, and is gone again."),
    "nothing": ("good", "There was nothing to learn last night. The model is what it was."),
    "failed": ("bad", "The last night failed. The model is what it was."),
    "unfinished": ("warning", "The last night did not come to its end."),
    "running": ("info", "A night is under way."),
}
_GONE: tuple[Severity, str] = ("info", "Last night's model was deployed and serves no longer.")


def advice(
    service: ServiceStatus, nights: list[Night], awaiting: str | None, now: float, on_demand: bool = False
) -> list[Advice]:
    """Never empty; what is bad comes before what is good.

    Args:
        service: what serves, and what runs now.
        nights: all of them, oldest first.
        awaiting: the candidate that waits for a person's yes.
        now: seconds since 1970.
        on_demand: `nightschool service` runs, which plays a night when there is something to learn: none is late.
    """
    found = [*_about_service(service), *_about_approval(awaiting), *_about_nights(service, nights, now, on_demand)]
    return sorted(found, key=lambda each: _ORDER[each["severity"]] + 0.5 * (each["action"] is None))


def _say(severity: Severity, title: str, text: str, command: str | None = None) -> Advice:
    return {"severity": severity, "title": title, "text": text, "command": command, "action": None, "generation": None}


def _about_service(service: ServiceStatus) -> Iterator[Advice]:
    if service["gateway"] == "down":
        yield _say(
            "bad",
            "Nobody is being answered: the gateway is down.",
            f"{_sentence(service['reason'] or 'It does not answer')} Start it, then look again.",
            "nightschool serve",
        )
    if service["agree"] is False and service["serving"]:
        yield _say(
            "bad",
            "The server answers with another model than the one on disk.",
            f"It serves {service['serving']['id']}, loras/current names {service['on_disk']['id']}. "
            "Restart the gateway; if that does not help, the doctor knows more.",
            "nightschool doctor",
        )
    if service["last_check"].get("proven") is False:
        yield _say(
            "bad",
            "The engine does not answer as the generation it should serve.",
            "Restart the engine, then the gateway.",
            "nightschool doctor",
        )
    if service["interactions_lost"]:
        yield _say(
            "warning",
            f"{service['interactions_lost']} interactions could not be written down.",
            "The disk was full, or refused. What is not written down is not learned from.",
            "nightschool doctor",
        )


def _about_approval(awaiting: str | None) -> Iterator[Advice]:
    if awaiting is not None:
        asked = _say(
            "warning",
            "A candidate passed its exam and waits for your yes.",
            f"Read its answers below, then approve or reject {awaiting}. Until then nothing changes.",
            f"nightschool approve --candidate {awaiting}",
        )
        yield {**asked, "action": "approve", "generation": awaiting}


def _about_nights(service: ServiceStatus, nights: list[Night], now: float, on_demand: bool) -> Iterator[Advice]:
    if not nights:
        yield _say(
            "info",
            "No night yet.",
            "Play the first one: it builds a small model, gives it a day of questions, and lets it learn from them.",
            "make night",
        )
        return
    last = nights[-1]
    severity, title = _TITLES[last["outcome"]]
    if last["outcome"] == "deployed" and last["run"] != service["on_disk"]["id"]:
        severity, title = _GONE
    if last["outcome"] == "running":
        under_way = [stage for stage in STAGES if stage in service["stages"]] or ["the next stage"]
        yield _say(severity, title, f"Now: {under_way[0]}. Until a candidate has passed its exam nothing changes.")
        return
    yield _say(severity, title, f"{_sentence(last['headline'])} {_sentence(last['next_step'])}", "nightschool report")
    ended = last["at"] + last["seconds"]
    if now - ended > _LATE and not on_demand:
        yield _say(
            "warning",
            "The night is late.",
            f"The last one ended {datetime.fromtimestamp(ended, UTC):%Y-%m-%d %H:%M} UTC. Does cron run it?",
            "crontab -l",
        )


def _sentence(words: str) -> str:
    """With a capital and a full stop, unless it begins with code."""
    text = words[:1].upper() + words[1:].rstrip(".")
    return f"{text}." if text else ""
