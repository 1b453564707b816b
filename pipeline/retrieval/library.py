"""Our files and Chroma together: every change goes through here, under one lock."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.lib.config import Settings
from pipeline.lib.files import read_json, write_json
from pipeline.lib.records import content_id
from pipeline.retrieval.chroma import Chroma
from pipeline.retrieval.truth import BUFFER, COLLECTIONS, HISTORICAL, Collection, Passage, Truth, passages


class Library:
    """`truth` is what counts; `chroma` follows."""

    def __init__(self, settings: Settings) -> None:
        self.truth = Truth(settings.layout)
        self.folder = settings.home / settings.retrieval.folder
        self.model = settings.retrieval.embedding_model

    @contextmanager
    def writing(self) -> Iterator[None]:
        """For the only writer. What a killed one left half done is finished first.

        Raises:
            BusyError: another process writes.
        """
        with self.truth.writing():
            self.finish()
            yield

    def project(self, *collections: Collection) -> int:
        """Make Chroma equal to our files, in these collections (none: all of them); returns the passages that changed.

        Raises:
            DamagedIndexError: Chroma cannot read its folder.
        """
        if self.is_empty() and not self.folder.exists():
            return 0
        chroma = Chroma(self.folder)
        try:
            return sum(
                chroma.synchronize(name, self.model, self._passages(name)) for name in collections or COLLECTIONS
            )
        finally:
            chroma.close()

    def is_empty(self) -> bool:
        """Whether nothing has ever been indexed here."""
        return not any(self.truth.path(each).exists() for each in COLLECTIONS)

    def announce(self) -> dict[str, int]:
        """Tell readers what there is now; returns the passages of each collection.

        The version follows from the content, so an answer that was remembered for it is right whenever it comes back.
        """
        held = {name: [(each.id, each.digest) for each in self._passages(name)] for name in COLLECTIONS}
        counts: dict[str, int] = {name: len(rows) for name, rows in held.items()}
        told = {"version": content_id(held), "embedding_model": self.model, "passages": counts}
        if not self.truth.marker.exists() or read_json(self.truth.marker) != {"schema": 1, **told}:
            write_json(self.truth.marker, told)
        return counts

    def finish(self) -> None:
        """Let every document stand in one place: what the daily buffer says of it is newer than the history.

        What is marked there as trained moves to the history with its vectors, is archived, and then cleared, in this
        order. What is not marked there has been written again or given back, and leaves the history. Each file is
        published whole, so wherever this is killed, nothing is lost, and running again ends the same.
        """
        buffer, history = self.truth.read(BUFFER), self.truth.read(HISTORICAL)
        marked = {key: each for key, each in buffer.items() if each.trained_in_adapter}
        rest = {key: each for key, each in buffer.items() if key not in marked}
        kept = {key: each for key, each in history.items() if key not in rest}
        if marked or len(kept) < len(history):
            self.truth.write(HISTORICAL, {**kept, **marked}.values())
            self.project(HISTORICAL)
        if marked:
            self.truth.archive(marked.values())
            self.truth.write(BUFFER, rest.values())
            self.project(BUFFER)

    def rebuild(self) -> dict[str, int]:
        """Throw Chroma's folder away and make it again; returns the passages of each collection."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.finish()
        self.project()
        self.truth.marker.unlink(missing_ok=True)  # written anew, so that readers open the new folder
        return self.announce()

    def _passages(self, name: Collection) -> Iterator[Passage]:
        """Vectors of another model than the configured one cannot be asked: they wait for `index`."""
        for document in self.truth.read(name).values():
            if document.embedding_model == self.model:
                yield from passages(document)
