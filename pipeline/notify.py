"""notify: tell people how a run ended.

reads   `logs/runs.jsonl`, verdict and summary of the run's generation
sends   one message to the configured webhook; a dead webhook is a warning
"""

from typing import Any

from pipeline.backends.notifiers.interface import Message, NotificationError
from pipeline.backends.notifiers.webhook import Webhook
from pipeline.lib import generations, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import AwaitingApproval, ExitCode, NothingToDo
from pipeline.lib.files import read_json
from pipeline.lib.logs import logger

_NIGHT = ("doctor", "harvest", "build-dataset", "train", "canary", "deploy", "rollback")

# Endings after which the next stage runs all the same.
_GOES_ON = {"harvest": {ExitCode.DONE, ExitCode.NOTHING_TO_DO}}

_TITLES = {
    ExitCode.DONE: "Nightschool: a better model is serving",
    ExitCode.NOTHING_TO_DO: "Nightschool: nothing to learn tonight",
    ExitCode.REFUSED: "Nightschool: candidate refused, the model stays as it was",
    ExitCode.INCONCLUSIVE: "Nightschool: too little evidence, the model stays as it was",
    ExitCode.ROLLED_BACK: "Nightschool: deployed, failed, rolled back",
}


def notify(settings: Settings, run: str, dry_run: bool) -> dict[str, Any]:
    """Send the message about a run.

    Raises:
        NothingToDo: no webhook is configured, or the run did nothing worth telling.
    """
    lines = runs.of_night(settings.layout, run)
    message = compose(settings, run, lines)
    if dry_run:
        return {"dry_run": True, "title": message.title, "text": message.text, "facts": message.facts}
    if not settings.notify.webhook:
        raise NothingToDo("no webhook is configured", "set NOTIFICATION_WEBHOOK")
    try:
        Webhook(settings.notify.webhook, settings.notify.timeout).send(message)
    except NotificationError as error:
        logger.warning("%s", error)
        return {"sent": False, "reason": str(error)}
    return {"sent": True, "title": message.title}


def compose(settings: Settings, run: str, lines: list[dict[str, Any]]) -> Message:
    """What a person wants to know at breakfast: what happened, the numbers, the next step."""
    stages = [line for line in lines if line["stage"] in _NIGHT]
    # A harvest without news does not end a night: rewrites of earlier nights may have been waiting.
    ends = [line for line in stages if line["exit_code"] not in _GOES_ON.get(line["stage"], {ExitCode.DONE})]
    ended = next(iter(ends or reversed(stages)), None)
    if ended is None or (ended["exit_code"] == ExitCode.DONE and ended["stage"] != "deploy"):
        return Message(f"Nightschool: run {run} did not come to an end", "See logs/nightly_*.log.", good=False)
    code = ended["exit_code"]
    waits = ended["status"] == AwaitingApproval.__name__
    failed = f"Nightschool: the night failed in {ended['stage']}"
    title = "Nightschool: a candidate is awaiting approval" if waits else _TITLES.get(code, failed)
    text = ended.get("message") or f"{ended['stage']} ended well."
    facts = {"run": run, "stages": ", ".join(f"{line['stage']} {line['seconds']:.0f} s" for line in stages)}
    folder = settings.layout.generation(run)
    if (folder / generations.VERDICT).is_file():
        verdict = read_json(folder / generations.VERDICT)
        facts["verdict"] = f"{verdict['outcome']}: {verdict['reason']}"
    facts["serving"] = generations.incumbent(settings.layout).id
    step = {
        ExitCode.ROLLED_BACK: "Read loras/current/rollback_summary.json.",
        ExitCode.REFUSED: f"Side-by-side answers: loras/{run}/canary.jsonl.",
        ExitCode.DONE: "Not happy? `nightschool rollback`.",
    }.get(code, "See `nightschool report`." if code < ExitCode.USAGE else "See logs/nightly_*.log.")
    if waits:
        step = f"`nightschool versions compare current {run}`, then `nightschool approve` or `nightschool reject`."
    return Message(title, text, facts, step, good=code < ExitCode.ROLLED_BACK)
