import itertools
import re

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import TinyEmbedder, real_embedder

from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.retrieval import embedding
from pipeline.retrieval.embedding import SentenceEmbedder
from pipeline.retrieval.passages import split

TINY = TinyEmbedder()
TEXTS = st.text(st.sampled_from("ab .!?\n\té,漢"), max_size=300)


def greedy(text: str) -> int:
    """A tokenizer that counts a whole higher than its parts: white space between words costs."""
    return len(text)


@given(TEXTS, st.integers(1, 30), st.sampled_from([TINY.count, greedy]))
def test_passages_hold_every_character_once_and_none_is_too_long(text, longest, count):
    spans = split(text, longest, count)
    pieces = [text[start:end] for start, end in spans]
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece == piece.strip() and piece for piece in pieces)
    assert all(count(piece) <= longest or len(piece) == 1 for piece in pieces)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_a_text_that_fits_is_one_passage():
    assert split("  one\n\ntwo ", 10, TINY.count) == [(2, 10)]


def test_paragraphs_are_kept_whole_where_they_fit():
    text = "one two three four\n\nfive six seven\n\neight nine ten eleven"
    assert [text[start:end] for start, end in split(text, 7, TINY.count)] == [
        "one two three four\n\nfive six seven",
        "eight nine ten eleven",
    ]


def test_a_long_paragraph_is_cut_after_a_sentence():
    text = "one two three four. five six seven eight."
    assert [text[start:end] for start, end in split(text, 6, TINY.count)] == [
        "one two three four.",
        "five six seven eight.",
    ]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_a_vector_comes_back_from_its_text_bit_by_bit(numbers):
    vector = numpy.array(numbers, numpy.float32)
    assert embedding.read(embedding.written(vector)).tobytes() == vector.tobytes()


def test_vectors_have_length_one_and_zeros_stay():
    vectors = embedding.normalized(numpy.array([[3, 4], [0, 0]], numpy.float32))
    assert numpy.allclose(vectors, [[0.6, 0.8], [0, 0]])


def test_the_packaged_model_knows_what_belongs_together():
    pump, again, soup = real_embedder().encode(
        ["the pump in hall three leaks", "a seal of the third pump is broken", "lentil soup on Friday"]
    )
    assert pump.shape == (384,)
    assert abs(float(pump @ pump) - 1) < 1e-5
    assert pump @ again > pump @ soup + 0.2


def test_passages_of_the_packaged_model_are_read_whole():
    model = real_embedder()
    assert model.longest == 254
    text = " ".join(f"word{number}" for number in range(600))
    spans = split(text, model.longest, model.count)
    assert len(spans) > 3
    assert all(model.count(text[start:end]) <= model.longest for start, end in spans)
    assert len(re.findall(r"word\d+", " ".join(text[start:end] for start, end in spans))) == 600


def test_a_model_that_is_not_there_is_a_configuration_error(tmp_path):
    (tmp_path / "empty").mkdir()
    settings = Settings(home=tmp_path, retrieval={"embedding_model": "empty"})
    with pytest.raises(ConfigurationError, match="cannot load the embedding model 'empty'"):
        SentenceEmbedder(settings).encode(["text"])
