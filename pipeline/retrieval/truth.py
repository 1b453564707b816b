"""What Nightschool remembers of documents: our own files, from which Chroma can be made again at any time.

training_data/documents/daily_buffer.jsonl       what no adapter in service has learned yet
                        historical.jsonl         what one has
                        tools.jsonl              documents about tools; nobody is trained on them
                        archive-YYYYMMDD.jsonl   what was learned by what was promoted that day
                        index.json               what Chroma holds; written last: readers look again

One line a document; a document stands in one of the first three.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pipeline.lib import jsonl
from pipeline.lib.errors import BadRecordError
from pipeline.lib.files import locked
from pipeline.lib.layout import Layout
from pipeline.lib.records import Record, content_id

Collection = Literal["daily_buffer", "historical", "tools"]

BUFFER: Collection = "daily_buffer"
HISTORICAL: Collection = "historical"
TOOLS: Collection = "tools"
COLLECTIONS: tuple[Collection, ...] = (BUFFER, HISTORICAL, TOOLS)


class Part(Record):
    """A passage of a document: `text[start:end]`, and its vector as `pipeline.retrieval.embedding` writes it."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    embedding: str


class Document(Record):
    """A line of the files. `date` is YYYY-MM-DD, `indexed_at` seconds since 1970.

    `training_batch` is the generation that learned it, `training_date` the moment at which that one was promoted.
    """

    id: str
    path: str
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    text: str
    sha256: str
    quality_score: float = Field(ge=0, le=1)
    interaction_ids: list[str] = Field(default_factory=list)
    trained_in_adapter: bool = False
    training_batch: str | None = None
    training_date: str | None = None
    collection: Literal["daily_buffer", "historical", "tools", "archived"]
    embedding_model: str
    parts: list[Part] = Field(min_length=1)
    indexed_at: float

    @property
    def day(self) -> int:
        """The date as a number, 20261120: Chroma compares numbers only."""
        return int(self.date.replace("-", ""))

    def placed(self, collection: Literal["daily_buffer", "historical", "tools", "archived"]) -> "Document":
        """The same document in another place."""
        return self.model_copy(update={"collection": collection})


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document as Chroma holds it; `digest` changes when anything in it does."""

    id: str
    text: str
    embedding: str
    metadata: dict[str, str | int | float | bool]

    @property
    def digest(self) -> str:
        """Of everything that stands here."""
        return str(self.metadata["digest"])


class Truth:
    """The files of one home."""

    def __init__(self, layout: Layout) -> None:
        self.folder = layout.training_data / "documents"
        self.marker = self.folder / "index.json"
        self._lock = layout.lock("documents")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """There is one writer at a time, of the files and of Chroma. What a killed one had not published is removed.

        Raises:
            BusyError: another process is at it.
        """
        with locked(self._lock, "another command that writes documents"):
            for unpublished in self.folder.glob(".*.json*.*"):
                unpublished.unlink()
            yield

    def path(self, collection: Collection) -> Path:
        """The file of a collection."""
        return self.folder / f"{collection}.jsonl"

    def read(self, collection: Collection) -> dict[str, Document]:
        """The documents of a collection by id.

        Raises:
            BadRecordError: a line is no document (file and line named).
        """
        return _read(self.path(collection))

    def write(self, collection: Collection, documents: Iterable[Document]) -> None:
        """Publish the file of a collection, by path."""
        _write(self.path(collection), [each.placed(collection) for each in documents])

    def archive(self, documents: Iterable[Document]) -> None:
        """Add marked documents to the archives of the days on which they were learned; twice is the same as once."""
        by_day: dict[str, list[Document]] = {}
        for each in documents:
            assert each.training_date is not None
            by_day.setdefault(each.training_date[:10].replace("-", ""), []).append(each.placed("archived"))
        for day, learned in by_day.items():
            path = self.folder / f"archive-{day}.jsonl"
            kept = {_as_archived(each): each for each in _documents(path)}
            _write(path, {**kept, **{_as_archived(each): each for each in learned}}.values())


def passages(document: Document) -> Iterator[Passage]:
    """What Chroma gets of a document; the ids are `<document>#0`, `#1`, …"""
    facts: dict[str, Any] = {
        "document": document.id,
        "path": document.path,
        "date": document.date,
        "day": document.day,
        "quality_score": document.quality_score,
        "trained_in_adapter": document.trained_in_adapter,
        "training_batch": document.training_batch or "",
        "training_date": document.training_date or "",
        "embedding_model": document.embedding_model,
    }
    for number, part in enumerate(document.parts):
        text = document.text[part.start : part.end]
        metadata = {**facts, "part": number, "digest": content_id(facts, number, text, part.embedding)}
        yield Passage(f"{document.id}#{number}", text, part.embedding, metadata)


def _as_archived(document: Document) -> tuple[str, str, str | None]:
    return document.id, document.sha256, document.training_batch


def _read(path: Path) -> dict[str, Document]:
    return {each.id: each for each in _documents(path)}


def _documents(path: Path) -> Iterator[Document]:
    for number, record in jsonl.read_numbered(path):
        try:
            yield Document.model_validate(record)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise BadRecordError(
                f"{path} line {number}: no document ({where}: {problem['msg']})", "mend or remove that line"
            ) from error


def _write(path: Path, documents: Iterable[Document]) -> None:
    ordered = sorted(documents, key=lambda each: (each.path, each.id, each.sha256))
    jsonl.write(path, (each.model_dump() for each in ordered))
