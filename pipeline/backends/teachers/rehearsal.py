"""What the base could do before it was taught anything: its own right answers to the questions of `dataset.rehearsal`.

They are replayed every night, so that what nobody asks for is not forgotten (the rehearsal of Robins, 1995, with
answers of the model itself). The check of each question accepts or refuses; it shows no answer.

writes  `training_data/rehearsal.jsonl`   {key, messages, answer, passed}, once a base: its greedy answers stay the same
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.gateway_client import GatewayClient, RefusedChatError
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.lib import jsonl, questions
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError
from pipeline.lib.generations import BASE
from pipeline.lib.logs import logger
from pipeline.lib.records import Interaction, content_id

REHEARSAL = "rehearsal"  # the source of these answers
Row = dict[str, Any]


def rehearse(settings: Settings) -> int:
    """Have the base answer what it was not asked yet; returns how many questions that were.

    Without a gateway that has the base loaded nothing is asked, and the night goes on.
    """
    try:
        asked = _questions(settings)
        known = {str(row["key"]) for row in jsonl.read(settings.layout.rehearsal)}
        new = [row for row in asked if row["key"] not in known]
        if new:
            client = GatewayClient(settings)
            with ThreadPoolExecutor(settings.harvest.concurrency) as pool:
                answered = list(pool.map(lambda row: _answered(client, row, settings.server.max_tokens), new))
            kept = {row["key"] for row in asked}
            earlier = [row for row in jsonl.read(settings.layout.rehearsal) if row["key"] in kept]
            jsonl.write(settings.layout.rehearsal, [*earlier, *answered])
    except NightschoolError as error:
        logger.warning("nothing is rehearsed tonight: %s", error)
        return 0
    return len(new)


def rehearsed(settings: Settings) -> Iterator[Interaction]:
    """The base's right answers to the questions that stand in the files now."""
    asked = {row["key"] for row in _questions(settings)}
    for row in jsonl.read(settings.layout.rehearsal):
        if row["passed"] and row["key"] in asked:
            yield Interaction(
                id=row["key"], source=REHEARSAL, at=0.0, messages=row["messages"], answer=row["answer"], adapter=BASE
            )


def _questions(settings: Settings) -> list[Row]:
    """Those whose checks can run here, each with what makes it, and the base that is asked, one of a kind."""
    usable = [row for row in questions.read_rehearsal(settings) if checks.usable(row["check"])]
    base = base_sha256(settings.base_folder) if usable else ""
    return [{**row, "key": content_id(REHEARSAL, base, row["messages"], row["check"])} for row in usable]


def _answered(client: GatewayClient, row: Row, max_tokens: int) -> Row:
    """With the base's answer; a question that is refused has none, and is not asked again."""
    text, passed = "", False
    try:
        answer = client.chat(row["messages"], "teacher", BASE, temperature=0, max_tokens=max_tokens)
        text = str(answer["choices"][0]["message"]["content"])
        passed = checks.judge(text, row["check"]).passed is True
    except (RefusedChatError, SandboxError):
        pass
    return {"key": row["key"], "messages": row["messages"], "answer": text, "passed": passed}
