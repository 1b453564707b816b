"""A small deterministic embedding model and homes with documents, for what does not depend on understanding."""

import re
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy
from handmade import make_settings
from numpy.typing import NDArray

from pipeline.lib.config import Settings
from pipeline.retrieval.embedding import SentenceEmbedder, normalized

NAME = "tiny"
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


def write(home: Path, name: str, text: str) -> Path:
    path = home / "documents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
