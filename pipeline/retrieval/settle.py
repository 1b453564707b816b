"""Which documents the generation in service has learned, and which it has not (any more)."""

from dataclasses import dataclass, field

from pipeline.retrieval.library import Library
from pipeline.retrieval.truth import BUFFER, HISTORICAL, Document


@dataclass(frozen=True, slots=True)
class Learned:
    """The generation in service.

    Args:
        batch: its id; none: the bare base, which has learned nothing here.
        date: the moment of its promotion, ISO 8601, UTC.
        before: YYYY-MM-DD of the run that trained it: what a document tells of that day may have come too late for it.
        interaction_ids: what it was trained on.
        lineage: ids of all generations that it goes back to, itself among them; none: not known in full.
    """

    batch: str | None
    date: str = ""
    before: str = ""
    interaction_ids: set[str] = field(default_factory=set)
    lineage: set[str] | None = None

    def has(self, document: Document) -> bool:
        """Whether it was trained on a document: on an interaction that it names, else by its date."""
        if self.batch is None:
            return False
        if document.interaction_ids:
            return not self.interaction_ids.isdisjoint(document.interaction_ids)
        return document.date < self.before

    def has_lost(self, document: Document) -> bool:
        """Whether the generation that had learned a document has been given up since."""
        return self.lineage is not None and document.training_batch not in self.lineage


def settle(library: Library, learned: Learned, dry_run: bool = False) -> dict[str, int]:
    """Mark what was learned and move it out of the daily buffer; give back what was learned by what was given up.

    The caller holds the library's lock. Killed at any point, nothing is lost, and running again ends the same.

    Returns:
        How many documents are `marked`, and `given_back`.
    """
    buffer, history = library.truth.read(BUFFER), library.truth.read(HISTORICAL)
    given_back = {key: _unmarked(each) for key, each in history.items() if learned.has_lost(each)}
    waiting = {**given_back, **buffer}  # what was written again since is the newer one
    marked = {key: _marked(each, learned) for key, each in waiting.items() if learned.has(each)}
    counts = {"marked": len(marked), "given_back": len(given_back.keys() - marked.keys())}
    if dry_run or not (marked or given_back):
        return counts
    library.truth.write(BUFFER, {**waiting, **marked}.values())
    library.finish()
    return counts


def _marked(document: Document, learned: Learned) -> Document:
    return document.model_copy(
        update={"trained_in_adapter": True, "training_batch": learned.batch, "training_date": learned.date}
    )


def _unmarked(document: Document) -> Document:
    return document.model_copy(update={"trained_in_adapter": False, "training_batch": None, "training_date": None})
