"""What is asked for most, by the access log, and the answers that are known from it.

logs/retrieval.jsonl has one line an access:

    {"at", "interaction", "kind": "history" | "tools", "n": most passages, "query": hash, "key": hash of question and
     conditions, "version": of the index, "ids", "similarities", "used": how many of them went into the prompt, "ms",
     "cached"}

The question itself (`text`) stands there only with `retrieval.log_queries`; then the questions asked most are asked
again, by nobody, as soon as the index has changed.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field, ValidationError

from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems
from pipeline.lib.records import Record
from pipeline.retrieval.chroma import Hit
from pipeline.retrieval.truth import COLLECTIONS, Passage, Truth, passages


class Access(Record):
    """A line of the log. `at` is seconds since 1970."""

    at: float
    interaction: str | None = None
    kind: str = "history"
    n: int = Field(5, ge=1)
    query: str
    text: str | None = None
    key: str
    version: str
    ids: list[str]
    similarities: list[float]
    used: int = 0
    ms: float
    cached: bool


def accesses(layout: Layout, since: float, problems: Problems) -> list[Access]:
    """The lines since a moment (seconds since 1970); a line that is none is added to `problems`.

    Raises:
        BadRecordError: a line is not even JSON (file and line named).
    """
    found = []
    for number, line in jsonl.read_numbered(layout.retrieval):
        try:
            access = Access.model_validate(line)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            problems.add(f"no access: {where}", f"{layout.retrieval} line {number}")
            continue
        if access.at >= since:
            found.append(access)
    return found


def hot_passages(lines: Iterable[Access], most: int) -> list[tuple[str, int]]:
    """(id, accesses) of the passages that were found most often; of equals, the first by id."""
    counts = Counter(identity for line in lines for identity in line.ids)
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:most]


def hot_queries(lines: Iterable[Access], most: int) -> list[dict[str, Any]]:
    """`{query, text, accesses, cached, ms}` of the questions asked most; `text` is none where it was not logged."""
    by_query: dict[str, list[Access]] = {}
    for line in lines:
        by_query.setdefault(line.query, []).append(line)
    ranked = sorted(by_query.items(), key=lambda each: (-len(each[1]), each[0]))[:most]
    return [
        {
            "query": query,
            "text": next((line.text for line in reversed(asked) if line.text), None),
            "accesses": len(asked),
            "cached": sum(line.cached for line in asked),
            "ms": round(sum(line.ms for line in asked) / len(asked), 3),
        }
        for query, asked in ranked
    ]


def hot_questions(lines: Iterable[Access], most: int) -> list[tuple[str, str, int]]:
    """(question, kind, n) of those asked most whose text was logged."""
    counts = Counter((line.text, line.kind, line.n) for line in lines if line.text)
    return [(text, kind, n) for (text, kind, n), _ in counts.most_common(most) if text]


def recent(settings: Settings) -> list[Access]:
    """The lines of the last `retrieval.hot_days`. A log that cannot be read is a warning, and no lines."""
    try:
        return accesses(settings.layout, time.time() - settings.retrieval.hot_days * 86_400, Problems())
    except BadRecordError as error:
        logger.warning("no hot documents: %s", error)
        return []


def known_answers(settings: Settings, truth: Truth, version: str) -> dict[str, list[Hit]]:
    """By key: the answers that this version of the index gave, all of whose passages are hot, from our files.

    So a hot question needs neither the embedding model nor Chroma, also right after a start. It is the answer that
    Chroma gave, not an approximation: the version stands for the content.
    """
    lines = recent(settings)
    wanted = {identity for identity, _ in hot_passages(lines, settings.retrieval.hot)}
    texts = {each.id: each for each in _of(truth, wanted)}
    return {
        line.key: [
            Hit(identity, texts[identity].text, dict(texts[identity].metadata), similarity)
            for identity, similarity in zip(line.ids, line.similarities, strict=False)
        ]
        for line in lines
        if line.version == version and line.ids and texts.keys() >= set(line.ids)
    }


def _of(truth: Truth, ids: set[str]) -> Iterator[Passage]:
    documents = {identity.partition("#")[0] for identity in ids}
    for name in COLLECTIONS if ids else ():
        for document in truth.read(name).values():
            if document.id in documents:
                yield from (each for each in passages(document) if each.id in ids)
