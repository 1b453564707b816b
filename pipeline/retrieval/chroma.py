"""The collections in Chroma: a projection of our files, made equal to them by comparing digests.

Vectors are ours (`embedding_function=None`) and have length 1, so the inner product is the cosine. The space `cosine`
would compute the length once more and give back other bytes than it was given.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.lib.errors import DiskError, NightschoolError
from pipeline.retrieval import embedding
from pipeline.retrieval.truth import Passage

if TYPE_CHECKING:
    from chromadb import Collection

    from pipeline.retrieval.embedding import Vectors

Item = TypeVar("Item")

_PAGE = 2_000  # rows that are looked at together


class DamagedIndexError(NightschoolError):
    """Chroma cannot read its own files. Ours are not touched by that."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found; `similarity` is the cosine of its angle to the query, 1 for the same direction."""

    id: str
    text: str
    metadata: dict[str, Any]
    similarity: float


class Chroma:
    """One opened folder. There may be one writer; a reader sees what stood there when it opened it."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; it is made if it is not there.

        Raises:
            DamagedIndexError: Chroma cannot read it.
            DiskError: it cannot be made.
        """
        with _explained(folder):
            import chromadb
            from chromadb.api.client import Client
            from chromadb.config import Settings

            folder.mkdir(parents=True, exist_ok=True)
            client = chromadb.PersistentClient(folder, Settings(anonymized_telemetry=False))
            assert isinstance(client, Client)  # which can be closed
            self._client = client
        self.folder = folder

    def close(self) -> None:
        """Let go of the files."""
        self._client.close()

    def synchronize(self, name: str, model: str, wanted: Iterable[Passage]) -> int:
        """Make a collection hold exactly these passages; returns how many were written or removed.

        Args:
            name: of the collection.
            model: that made the vectors; a collection of another model is begun anew.
            wanted: what it should hold.
        """
        import numpy

        passages = {each.id: each for each in wanted}
        with _explained(self.folder):
            collection = self._collection(name, model)
            held = dict(self._digests(collection))
            gone = [each for each in held if each not in passages]
            changed = [each for each in passages.values() if held.get(each.id) != each.digest]
            for rows in _batches(changed, self._client.get_max_batch_size()):
                collection.upsert(
                    ids=[each.id for each in rows],
                    embeddings=numpy.stack([embedding.read(each.embedding) for each in rows]),
                    metadatas=[each.metadata for each in rows],
                    documents=[each.text for each in rows],
                )
            for ids in _batches(gone, self._client.get_max_batch_size()):
                collection.delete(ids=list(ids))
        return len(changed) + len(gone)

    def query(self, name: str, vector: "Vectors", n: int, where: dict[str, Any] | None) -> list[Hit]:
        """The `n` nearest passages of a collection, the nearest first; none where there is no such collection."""
        with _explained(self.folder):
            if not self._has(name):
                return []
            collection = self._client.get_collection(name, embedding_function=None)
            found = collection.query(
                query_embeddings=vector[None],
                n_results=n,
                where=where,
                include=["documents", "metadatas", "distances"],
            )
        assert found["documents"] and found["metadatas"] and found["distances"]
        rows = zip(found["ids"][0], found["documents"][0], found["metadatas"][0], found["distances"][0], strict=True)
        return [Hit(identity, text, dict(facts), 1.0 - distance) for identity, text, facts, distance in rows]

    def embeddings(self, name: str) -> dict[str, bytes]:
        """The vector of every passage, as the bytes of its little-endian float32 numbers."""
        with _explained(self.folder):
            if not self._has(name):
                return {}
            found = self._client.get_collection(name, embedding_function=None).get(include=["embeddings"])
        vectors = found["embeddings"]
        assert vectors is not None
        import numpy

        return {
            each: numpy.asarray(vector, dtype="<f4").tobytes()
            for each, vector in zip(found["ids"], vectors, strict=True)
        }

    def _has(self, name: str) -> bool:
        return name in {each.name for each in self._client.list_collections()}

    def _collection(self, name: str, model: str) -> "Collection":
        if self._has(name):
            collection = self._client.get_collection(name, embedding_function=None)
            if (collection.metadata or {}).get("embedding_model") == model:
                return collection
            self._client.delete_collection(name)
        return self._client.create_collection(
            name, metadata={"embedding_model": model}, embedding_function=None, configuration={"hnsw": {"space": "ip"}}
        )

    def _digests(self, collection: "Collection") -> Iterator[tuple[str, str]]:
        for offset in range(0, collection.count(), _PAGE):
            page = collection.get(limit=_PAGE, offset=offset, include=["metadatas"])
            for identity, facts in zip(page["ids"], page["metadatas"] or [], strict=True):
                yield identity, str(facts.get("digest"))


def _batches(items: "Sequence[Item]", size: int) -> "Iterator[Sequence[Item]]":
    for start in range(0, len(items), size):
        yield items[start : start + size]


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Whatever Chroma raises, in our words. Its core is not Python: a panic there is no `Exception`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, NightschoolError):
        raise
    except OSError as error:
        raise DiskError(f"cannot use {folder}: {error.strerror}", "free some space or check its rights") from error
    except BaseException as error:
        said = str(error).splitlines()[0] if str(error) else "no message"
        raise DamagedIndexError(
            f"Chroma cannot use {folder}: {type(error).__name__}: {said}",
            "`nightschool rag rebuild` makes it again from training_data/documents",
        ) from error
