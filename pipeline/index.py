"""index: the documents of the day → our files → Chroma.

reads   what `retrieval.documents` and `retrieval.tool_documents` match
writes  `training_data/documents/{daily_buffer,historical,tools}.jsonl`, Chroma's folder, and last `…/index.json`

A document that has not changed is not read into the model again. One that is no longer on the disk stays remembered.
"""

from typing import Any

from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo
from pipeline.lib.problems import Problems
from pipeline.retrieval import documents, update
from pipeline.retrieval.documents import Found
from pipeline.retrieval.embedding import Embedder, SentenceEmbedder
from pipeline.retrieval.library import Library
from pipeline.retrieval.truth import BUFFER, TOOLS, Collection


def index(settings: Settings, dry_run: bool, embedder: Embedder | None = None) -> dict[str, Any]:
    """Bring our files and Chroma up to date.

    Args:
        settings: which documents, which embedding model.
        dry_run: only count.
        embedder: what makes vectors; none: the configured model.

    Raises:
        NothingToDo: no document matches, and none is remembered.
        BusyError: another process writes.
        BadRecordError: one of our files cannot be read.
        ConfigurationError: the embedding model cannot be loaded.
        DamagedIndexError: Chroma cannot read its folder.
    """
    problems = Problems()
    library = Library(settings)
    found = _found(settings, problems)
    if not any(found.values()) and library.is_empty():
        raise NothingToDo(
            "no documents" + (f" that can be read: {problems}" if problems.count else ""),
            f"retrieval.documents is {', '.join(settings.retrieval.documents)}, relative to {settings.home}",
        )
    if dry_run:
        return {"dry_run": True, **_told(update.compare(library.truth, found, library.model), problems)}
    with library.writing():
        changes = update.compare(library.truth, found, library.model)
        update.apply(library.truth, changes, embedder or SentenceEmbedder(settings))
        library.finish()
        changed = library.project()
        return {**_told(changes, problems), "passages_changed": changed, "passages": library.announce()}


def _found(settings: Settings, problems: Problems) -> dict[Collection, list[Found]]:
    """What both lists match belongs to the tools."""
    tools = list(documents.find(settings.home, settings.retrieval.tool_documents, problems))
    taken = {each.id for each in tools}
    others = documents.find(settings.home, settings.retrieval.documents, problems)
    return {TOOLS: tools, BUFFER: [each for each in others if each.id not in taken]}


def _told(changes: update.Changes, problems: Problems) -> dict[str, Any]:
    told: dict[str, Any] = {"indexed": changes.count, "unchanged": changes.unchanged}
    return {**told, "problems": problems.to_json()} if problems.count else told
