"""Found documents → our files: what is new or was written again gets vectors, the rest stays as it is."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.retrieval import embedding, passages
from pipeline.retrieval.documents import Found, quality
from pipeline.retrieval.embedding import Embedder
from pipeline.retrieval.truth import BUFFER, COLLECTIONS, HISTORICAL, TOOLS, Collection, Document, Part, Truth


@dataclass(slots=True)
class Changes:
    """What has to be done. `texts` need vectors and go where they are listed; `again` only need other vectors.

    `strays` stand among the tools and do not belong there, or the other way round.
    """

    texts: dict[Collection, list[Found]] = field(default_factory=dict)
    again: dict[Collection, list[Document]] = field(default_factory=dict)
    strays: dict[Collection, set[str]] = field(default_factory=dict)
    unchanged: int = 0

    @property
    def count(self) -> int:
        """Documents that need vectors."""
        return sum(map(len, self.texts.values())) + sum(map(len, self.again.values()))


def compare(truth: Truth, found: Mapping[Collection, Iterable[Found]], model: str) -> Changes:
    """What differs between the disk and our files. What is no longer on the disk stays remembered."""
    held = {name: truth.read(name) for name in COLLECTIONS}
    changes = Changes()
    fresh = set()
    for name, documents in found.items():
        places: tuple[Collection, ...] = (TOOLS,) if name == TOOLS else (BUFFER, HISTORICAL)
        for each in documents:
            known = next((held[place][each.id] for place in places if each.id in held[place]), None)
            if known is None or known.sha256 != each.sha256:
                changes.texts.setdefault(name, []).append(each)
                fresh.add(each.id)
            else:
                changes.unchanged += 1
            for place in COLLECTIONS:
                if place not in places and each.id in held[place]:
                    changes.strays.setdefault(place, set()).add(each.id)
    for name in COLLECTIONS:
        others = [each for each in held[name].values() if each.embedding_model != model and each.id not in fresh]
        if others:
            changes.again[name] = others
    return changes


def apply(truth: Truth, changes: Changes, embedder: Embedder) -> None:
    """Write the changes into our files; what moves arrives before it leaves.

    A document that was learned and then written again has not been learned: it comes back to the daily buffer, and
    `Library.finish` takes it out of the history. (The archive keeps what was learned.)
    """
    arriving: dict[Collection, list[Document]] = {
        name: [_document(each, name) for each in documents] for name, documents in changes.texts.items()
    }
    for name, documents in changes.again.items():
        arriving.setdefault(name, []).extend(documents)
    for name, waiting in arriving.items():
        embedded = {each.id: each for each in _embedded(waiting, embedder)}
        truth.write(name, {**truth.read(name), **embedded}.values())
    for name, strays in changes.strays.items():
        truth.write(name, [each for each in truth.read(name).values() if each.id not in strays])


def _document(found: Found, collection: Collection) -> Document:
    """A document that waits for its vectors."""
    return Document.model_construct(
        id=found.id,
        path=found.path,
        date=found.date,
        text=found.text,
        sha256=found.sha256,
        quality_score=quality(found.text),
        interaction_ids=found.interaction_ids,
        trained_in_adapter=False,
        training_batch=None,
        training_date=None,
        collection=collection,
        embedding_model="",
        parts=[],
        indexed_at=time.time(),
    )


def _embedded(documents: list[Document], embedder: Embedder) -> list[Document]:
    """The same documents with vectors: cut into passages, and all passages encoded together."""
    spans = [passages.split(each.text, embedder.longest, embedder.count) for each in documents]
    texts = [document.text[start:end] for document, cuts in zip(documents, spans, strict=True) for start, end in cuts]
    vectors = iter(embedder.encode(texts))
    done = []
    for document, cuts in zip(documents, spans, strict=True):
        parts = [Part(start=start, end=end, embedding=embedding.written(next(vectors))) for start, end in cuts]
        done.append(document.model_copy(update={"parts": parts, "embedding_model": embedder.name}))
    return done
