"""Records that people judged in Argilla, as its SDK exports them (`records.to_json`, or one record a line).

Only submitted responses count; where the export does not say whether a response was submitted, those of completed
records do. What becomes of an answer to a question of the form:

    rating   the upper third of the scale is a thumb up, the lower third down; the scale ends at 5, or at 10 when some
             rating of the file is above 5
    label    good, yes, correct … is up; bad, no, incorrect … is down; other labels say nothing
    text     of a question named like a comment (comment, reason, note, why …) a comment; of one named like a rewrite
             (corrected, edited, rewritten, improved, better …, or just answer or response) what a person wrote instead

Of several people's thumbs the majority counts, of their rewrites the last. An export has no times: a record counts as
asked when its metadata say (`at`, `timestamp`, `created_at` …), else when the file was written, which is also when
people are taken to have said all of it.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pipeline.backends.sources import exports, interactions, moments, persons
from pipeline.backends.sources.conversation import answer, message, messages
from pipeline.backends.sources.interface import Row
from pipeline.lib.problems import Problems
from pipeline.lib.records import Message

_ASKED = ("instruction", "prompt", "question", "input", "query", "user")
_ANSWERED = ("response", "answer", "completion", "output", "generation", "assistant")
_TIMES = ("at", "timestamp", "created_at", "inserted_at", "date", "time")
_COMMENT = re.compile(r"comment|reason|note|why|explain|explanation|feedback")
_REWRITE = re.compile(
    r"corrected|correction|edit(ed)?($|[ _-])|rewrit|improved|better|fixed|revised|ideal"
    r"|^(response|answer|completion|output|text)$"
)


class Argilla:
    """See `pipeline.backends.sources.interface.Source`."""

    kind: ClassVar[str] = "argilla"

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.name = interactions.named(self.kind, paths)

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """Every record of the window, and those of files that were written in it; the files are read three times."""
        tops: dict[str, float] = {}
        for _, record in exports.read(self.paths, problems):
            for question, value in _submitted(record):
                if isinstance(value, int | float) and not isinstance(value, bool):
                    tops[question] = max(tops.get(question, 5), 5 if value <= 5 else 10)
        yield from interactions.last_of_each(partial(self._records, tops, since, until), problems)

    def _records(
        self, tops: dict[str, float], since: float, until: float, problems: Problems
    ) -> Iterator[interactions.Placed]:
        for path in self.paths:
            for place, record in exports.read([path], Problems()):
                try:
                    each = self._row(record, tops, path.stat().st_mtime)
                except interactions.UNREADABLE as error:
                    problems.add(interactions.why(error), place)
                    continue
                if interactions.in_window(each, since, until):
                    yield place, each

    def _row(self, record: dict[str, Any], tops: dict[str, float], written: float) -> Row:
        asked, output = _conversation(record["fields"])
        metadata = record.get("metadata") or {}
        at = next((moments.seconds(metadata[key]) for key in _TIMES if metadata.get(key) is not None), written)
        feedback = _opinions(list(_submitted(record)), tops)
        return interactions.row(
            self.name,
            str(record.get("id") or record["_server_id"]),
            at,
            asked,
            output,
            interactions.said(output, **feedback, at=written) if feedback else None,
            user=metadata.get("user"),
            session=metadata.get("session"),
            model=metadata.get("model"),
        )


def _submitted(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Question and value of each response that counts."""
    responses = record.get("responses")
    for question, given in responses.items() if isinstance(responses, dict) else ():
        for each in given if isinstance(given, list) else []:
            status = each.get("status") if isinstance(each, dict) else "draft"
            done = status == "submitted" if status else record.get("status") == "completed"
            if done and each.get("value") is not None:
                yield str(question), each["value"]


def _conversation(fields: dict[str, Any]) -> tuple[list[Message], str]:
    """What was asked and answered: a chat whose last message is the assistant's, or a field for each."""
    chat = next((each for each in fields.values() if isinstance(each, list) and each), None)
    given = next((fields[name] for name in _ANSWERED if isinstance(fields.get(name), str)), None)
    if chat:
        asked = [message(each) for each in chat]
        if asked[-1]["role"] == "assistant" and given is None:
            return asked[:-1], asked[-1]["content"]
    else:
        asked = messages(next((fields[name] for name in _ASKED if fields.get(name)), None))
        if isinstance(fields.get("system"), str) and fields["system"]:
            asked = [{"role": "system", "content": fields["system"]}, *asked]
    if given is None:
        raise ValueError("no field with an answer")
    return asked, answer(given)


def _opinions(responses: list[tuple[str, Any]], tops: dict[str, float]) -> dict[str, Any]:
    """Thumb, comment and rewrite, by the rule above."""
    thumbs = 0
    comments: list[str] = []
    edited = None
    for question, value in responses:
        name = question.lower()
        text = value.strip() if isinstance(value, str) else ""
        said = persons.opinion(value, None if isinstance(value, bool) else tops.get(question, 5))
        if text and _COMMENT.search(name):
            comments.append(text)
        elif text and _REWRITE.search(name):
            edited = text
        else:
            thumbs += said or 0
    opinions = {
        "thumb": (thumbs > 0) - (thumbs < 0) or None,
        "comment": "; ".join(dict.fromkeys(comments)),
        "edited": edited,
    }
    return {key: each for key, each in opinions.items() if each}
