"""What looking up a document costs the first time, remembered, and right after a start; and whether Chroma finds all.

python -m benchmarks.retrieval [--quick] [--json]

Documents and questions are made from a seed, indexed with the packaged embedding model, and asked on one thread. The
first time is what every question costs without a cache: vector and Chroma, both warm. What Chroma should have found
comes from comparing the question with every vector in our files.
"""

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from benchmarks.table import Row, finish
from pipeline.index import index
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.rag import rebuild
from pipeline.retrieval import embedding
from pipeline.retrieval.chroma import Chroma
from pipeline.retrieval.hot import Access
from pipeline.retrieval.search import Answer, Searcher, Wanted
from pipeline.retrieval.truth import BUFFER, Truth, passages

WANTED = Wanted(5)

_THINGS = ("pump", "valve", "boiler", "crane", "furnace", "conveyor", "press", "turbine", "mixer", "lathe")
_TROUBLES = ("leaks", "is loud", "runs hot", "stops at night", "has lost its seal", "shakes", "smells of oil")
_CURES = ("a new seal", "a new bearing", "other oil", "a tighter belt", "a clean filter", "a smaller load")
_PLACES = ("the north hall", "the yard", "the cellar", "the workshop", "the paint shop", "the loading dock")


def main() -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="200 documents instead of 2,000")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), *((200, 40) if arguments.quick else (2000, 200)))
    rows = [
        Row("a question the first time, median", "–", f"{found['cold_ms']:.1f} ms", None),
        Row(
            "the same remembered, times as fast",
            "≥ 6",
            f"{found['cold_ms'] / found['cached_ms']:.0f} ({found['cached_ms']:.3f} ms)",
            found["cold_ms"] >= 6 * found["cached_ms"],
        ),
        Row("the first one after a start, hot", "≤ 50 ms", f"{found['hot_ms']:.1f} ms", found["hot_ms"] <= 50),
        Row("Chroma's five nearest, share right", "≥ 98 %", f"{found['right']:.1%}", found["right"] >= 0.98),
        Row(f"Chroma made again, {found['passages']} passages", "–", f"{found['rebuild_s']:.1f} s", None),
        Row("vectors the same bytes afterwards", "all", "all" if found["same"] else "no", found["same"]),
    ]
    finish("retrieval", rows, {"measured": found}, arguments.json, keep=not arguments.quick)


def measure(home: Path, documents: int, questions: int, seed: int = 0) -> dict[str, Any]:
    """Make, index, ask.

    Args:
        home: an empty folder.
        documents: how many are made.
        questions: how many different ones are asked.
        seed: of both.

    Returns: milliseconds (medians) `cold_ms`, `cached_ms`, and `hot_ms` of the first question after a start; `right`
    the share of the nearest passages that Chroma found; `passages`; `index_s`, `rebuild_s`; `same` vectors afterwards.
    """
    asked = _make(home, documents, questions, random.Random(seed))
    settings = Settings(home=home, retrieval={"cache": questions})
    begun = time.perf_counter()
    passages_held = index(settings, dry_run=False)["passages"][BUFFER]
    found: dict[str, Any] = {"passages": passages_held, "index_s": round(time.perf_counter() - begun, 2)}
    searcher = Searcher(settings)
    searcher.search_uncached("warm", WANTED)
    cold, answers = _timed(asked, lambda text: searcher.search(text, WANTED))
    cached, again = _timed(asked, lambda text: searcher.search(text, WANTED))
    assert all(each.cached for each in again) and not any(each.cached for each in answers)
    found |= {"cold_ms": statistics.median(cold), "cached_ms": statistics.median(cached)}
    found["right"] = _share_right(settings, searcher, asked, answers)
    searcher.close()
    found["hot_ms"] = _hot(settings, asked[0], answers[0])
    before = _vectors(settings)
    shutil.rmtree(settings.home / settings.retrieval.folder)
    begun = time.perf_counter()
    rebuild(settings)
    return {**found, "rebuild_s": round(time.perf_counter() - begun, 2), "same": _vectors(settings) == before}


def _make(home: Path, documents: int, questions: int, chance: random.Random) -> list[str]:
    (home / "documents").mkdir()
    for number in range(documents):
        thing, place = f"{chance.choice(_THINGS)} {number}", chance.choice(_PLACES)
        text = (
            f"# {thing} in {place}\n\nPlan: the {thing} {chance.choice(_TROUBLES)}; look at it.\n\n"
            f"Do: gave it {chance.choice(_CURES)} and {chance.choice(_CURES)}.\n\n"
            f"Check: after {chance.randint(1, 48)} hours it was quiet.\n\n"
            f"Act: look again in {chance.randint(2, 9)} weeks.\n"
        )
        (home / "documents" / f"202611{chance.randint(1, 28):02}-{number}.pdca.md").write_text(text, encoding="utf-8")
    things = chance.sample(range(documents), questions)
    return [f"what was done when {chance.choice(_THINGS)} {number} {chance.choice(_TROUBLES)}?" for number in things]


def _timed(questions: list[str], ask: Callable[[str], Answer]) -> tuple[list[float], list[Answer]]:
    milliseconds, answers = [], []
    for question in questions:
        begun = time.perf_counter()
        answers.append(ask(question))
        milliseconds.append((time.perf_counter() - begun) * 1000)
    return milliseconds, answers


def _share_right(settings: Settings, searcher: Searcher, asked: list[str], answers: list[Answer]) -> float:
    held = [each for document in Truth(settings.layout).read(BUFFER).values() for each in passages(document)]
    matrix = numpy.stack([embedding.read(each.embedding) for each in held])
    similar = searcher.embedder.encode([question.casefold() for question in asked]) @ matrix.T
    nearest = numpy.argsort(-similar, axis=1)[:, : WANTED.n]
    right = [
        len({held[position].id for position in row} & {hit.id for hit in answer.hits})
        for row, answer in zip(nearest, answers, strict=True)
    ]
    return sum(right) / (WANTED.n * len(asked))


def _hot(settings: Settings, question: str, answer: Answer) -> float:
    """Milliseconds of a question that the access log knows, asked first of all after a start."""
    access = Access(
        at=time.time(),
        n=WANTED.n,
        query="",
        key=answer.key,
        version=answer.version,
        ids=[hit.id for hit in answer.hits],
        similarities=[hit.similarity for hit in answer.hits],
        ms=0,
        cached=False,
    )
    jsonl.append(settings.layout.retrieval, [access.model_dump()])
    fresh = Searcher(settings)
    fresh.refresh()  # which the gateway does when it starts
    milliseconds, answers = _timed([question], lambda text: fresh.search(text, WANTED))
    fresh.close()
    assert answers[0].cached
    assert answers[0].hits == answer.hits
    return milliseconds[0]


def _vectors(settings: Settings) -> dict[str, bytes]:
    opened = Chroma(settings.home / settings.retrieval.folder)
    try:
        return opened.embeddings(BUFFER)
    finally:
        opened.close()


if __name__ == "__main__":
    main()
