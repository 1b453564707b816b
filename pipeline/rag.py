"""rag: what is done with the indexed documents: settle, rebuild, search, tune, hot.

reads   `training_data/documents/`, Chroma's folder, `loras/`, the ledger, `logs/retrieval.jsonl`
writes  settle: `training_data/documents/`, its archive, Chroma's folder; rebuild: Chroma's folder; the others nothing
"""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.lib import generations, lineage
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo, UsageError
from pipeline.lib.generations import BASE
from pipeline.lib.layout import Layout
from pipeline.lib.problems import Problems
from pipeline.retrieval import hot as hot_list
from pipeline.retrieval import settle as settling
from pipeline.retrieval import tune as tuning
from pipeline.retrieval.embedding import Embedder
from pipeline.retrieval.library import Library
from pipeline.retrieval.search import HISTORY, Searcher, Wanted
from pipeline.retrieval.settle import Learned
from pipeline.retrieval.truth import COLLECTIONS

_SHOWN = 20  # hot passages and questions


def settle(settings: Settings, run: str | None, dry_run: bool) -> dict[str, Any]:
    """After a deployment: what the generation in service has learned leaves the daily buffer.

    Args:
        settings: where everything is.
        run: only if this run's generation is the one in service; none: whatever is.
        dry_run: only count.

    Raises:
        NothingToDo: no documents, `run` is not in service, or every document is where it belongs.
        BusyError: another process writes.
    """
    library = Library(settings)
    if library.is_empty():
        raise NothingToDo("no documents are indexed")
    learned = learned_by_incumbent(settings.layout)
    if run is not None and run != learned.batch:
        raise NothingToDo(f"{run} is not in service, {learned.batch or BASE} is", "nothing was moved")
    if dry_run:
        return {"dry_run": True, "current": learned.batch or BASE, **settling.settle(library, learned, dry_run=True)}
    with library.writing():
        counts = settling.settle(library, learned)
        changed = library.project()
        passages = library.announce()
    if not any(counts.values()) and not changed:
        raise NothingToDo("every document is where it belongs")
    return {"current": learned.batch or BASE, **counts, "passages": passages}


def rebuild(settings: Settings) -> dict[str, Any]:
    """Make Chroma's folder again from our files.

    Raises:
        NothingToDo: nothing was ever indexed.
        BusyError: another process writes.
    """
    library = Library(settings)
    if library.is_empty():
        raise NothingToDo("no documents are indexed", "`nightschool index` reads those that retrieval.documents names")
    with library.truth.writing():
        return {"passages": library.rebuild()}


def search(
    settings: Settings, question: str, n: int, collection: str | None, embedder: Embedder | None = None
) -> dict[str, Any]:
    """Ask by hand; leaves no line in the access log.

    Raises:
        UsageError: nothing is indexed, or there is no such collection.
    """
    if collection is not None and collection not in COLLECTIONS:
        raise UsageError(f"no collection {collection!r}", f"there are {', '.join(COLLECTIONS)}")
    searcher = Searcher(settings, embedder)
    try:
        begun = time.perf_counter()
        chosen = tuple(each for each in COLLECTIONS if each == collection) or HISTORY
        answer = searcher.search(question, Wanted(n, chosen))
        milliseconds = (time.perf_counter() - begun) * 1000
    finally:
        searcher.close()
    return {
        "passages": [
            {"id": hit.id, "similarity": round(hit.similarity, 4), "text": hit.text, **_facts(hit.metadata)}
            for hit in answer.hits
        ],
        "ms": round(milliseconds, 1),
    }


def tune(settings: Settings, queries: Path, embedder: Embedder | None = None) -> dict[str, Any]:
    """Measure settings against labelled questions, and recommend one.

    Raises:
        UsageError: nothing is indexed, or no question can be used.
        BadRecordError: the file of questions is not JSON lines.
    """
    problems = Problems()
    searcher = Searcher(settings, embedder)
    try:
        searcher.refresh()
        questions = tuning.read_labelled(queries, searcher.truth, problems)
        searcher.search_uncached(questions[0].query, Wanted(1))  # the model is loaded now, before anything is timed
        measured = tuning.measure(questions, tuning.filters(searcher.truth), searcher.search_uncached)
    finally:
        searcher.close()
    best = tuning.recommended(measured)
    return {
        "questions": len(questions),
        "problems": problems.to_json(),
        "measured": [{**asdict(each), "f1": round(each.f1, 4)} for each in measured],
        "recommended": {**asdict(best), "f1": round(best.f1, 4)},
    }


def hot(settings: Settings) -> dict[str, Any]:
    """What was asked for most in the last `retrieval.hot_days`.

    Raises:
        NothingToDo: the gateway has not looked anything up.
    """
    problems = Problems()
    since = time.time() - settings.retrieval.hot_days * 86_400
    lines = hot_list.accesses(settings.layout, since, problems)
    if not lines:
        raise NothingToDo(f"no accesses in the last {settings.retrieval.hot_days:g} days", "chats ask with `retrieval`")
    library = Library(settings)
    paths = {each.id: each.path for name in COLLECTIONS for each in library.truth.read(name).values()}
    return {
        "accesses": len(lines),
        "cached": sum(line.cached for line in lines),
        "passages": [
            {"id": identity, "path": paths.get(identity.partition("#")[0]), "accesses": count}
            for identity, count in hot_list.hot_passages(lines, _SHOWN)
        ],
        "questions": hot_list.hot_queries(lines, _SHOWN),
        "problems": problems.to_json(),
    }


def learned_by_incumbent(layout: Layout) -> Learned:
    """What the generation in service was trained on, and what it goes back to."""
    incumbent = generations.incumbent(layout)
    line = _line(layout, incumbent.id)
    if incumbent.id == BASE:
        return Learned(None, lineage=line)
    promotion = lineage.latest_promotion(layout, incumbent.base_sha256, incumbent.id)
    trained = datetime.strptime(incumbent.id[:8], "%Y%m%d").replace(tzinfo=UTC)
    promoted = datetime.fromtimestamp(promotion["at"], UTC) if promotion else trained
    return Learned(
        batch=incumbent.id,
        date=promoted.isoformat(timespec="seconds"),
        before=trained.date().isoformat() if promotion else "",
        interaction_ids=incumbent.interaction_ids,
        lineage=line,
    )


def _line(layout: Layout, version: str) -> set[str] | None:
    """A generation and all that it goes back to; by the ledger, which also knows those that were removed."""
    promoted_over = {
        swap["to"]: str(swap["from"]) for swap in generations.ledger(layout) if swap["reason"] == generations.PROMOTED
    }
    line: set[str] = set()
    while version != BASE:
        if version in line or version not in promoted_over:
            return None
        line.add(version)
        version = promoted_over[version]
    return line


def _facts(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in ("path", "date", "quality_score", "trained_in_adapter")}
