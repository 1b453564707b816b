"""A small deterministic embedding model and homes with documents, for what does not depend on understanding."""

import multiprocessing
import re
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy
from handmade import FIRST, SECOND, make, make_settings
from numpy.typing import NDArray

from pipeline.index import index
from pipeline.lib.config import Settings
from pipeline.retrieval.chroma import Chroma
from pipeline.retrieval.embedding import SentenceEmbedder, normalized
from pipeline.retrieval.truth import COLLECTIONS

NAME = "tiny"

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["chromadb"])  # a second saved in each of them

SIZE = 32


class TinyEmbedder:
    """Each word adds to one of 32 numbers: texts that share words are similar. `asked` counts the texts."""

    name = NAME
    longest = 20

    def __init__(self) -> None:
        self.asked = 0

    def count(self, text: str) -> int:
        return len(re.findall(r"\w+|[^\w\s]", text))

    def encode(self, texts: Sequence[str]) -> NDArray[numpy.float32]:
        self.asked += len(texts)
        vectors = numpy.zeros((len(texts), SIZE), numpy.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                row[zlib.crc32(word.encode()) % SIZE] += 1
        return normalized(vectors)


def tiny_settings(home: Path, **retrieval: Any) -> Settings:
    return make_settings(home, retrieval={"embedding_model": NAME, **retrieval})


@cache
def real_embedder() -> SentenceEmbedder:
    """The packaged model, loaded once for all tests."""
    return SentenceEmbedder(Settings(home=Path()))


def elsewhere(function: Callable[..., object], *arguments: object) -> int | None:
    """Run a function in a process of its own, as commands are; returns its exit code, negative: the signal."""
    child = _processes.Process(target=function, args=arguments)
    child.start()
    child.join()
    return child.exitcode


def index_at(home: Path) -> None:
    index(tiny_settings(home), False, TinyEmbedder())


def held(settings: Settings) -> dict[str, dict[str, bytes]]:
    """Every vector in Chroma, by collection and passage."""
    opened = Chroma(settings.home / settings.retrieval.folder)
    try:
        return {name: opened.embeddings(name) for name in COLLECTIONS}
    finally:
        opened.close()


def learning_home(home: Path) -> Settings:
    """Two generations, and four documents: of an interaction that both learned, of one that only the second learned,
    and by their dates of the day before the first and of the day between them."""
    settings = tiny_settings(home)
    write(home, "20261119-learned.md", f"---\ninteraction_ids: [{'a' * 24}]\n---\npump one")
    write(home, "20261101-waiting.md", f"---\ninteraction_ids: [{'b' * 24}]\n---\npump two")
    write(home, "20261117-before.md", "notes of the day before")
    write(home, "20261118-after.md", "notes of that day")
    make(settings, FIRST, trained_on=("a" * 24,))
    make(settings, SECOND, FIRST, trained_on=("a" * 24, "b" * 24))
    index(settings, False, TinyEmbedder())
    return settings


def write(home: Path, name: str, text: str) -> Path:
    path = home / "documents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
