"""Finds names of persons and places, where a spaCy model for it is installed. Without one they stay.

Such a model guesses, unlike the expressions beside it: it misses names, and takes other words for names. What has
digits or signs in it, or begins small, is not believed: models made for prose find many "places" in code and tables.
"""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from pipeline.hygiene.spans import Found
from pipeline.lib.errors import ConfigurationError

_USUAL = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm", "xx_ent_wiki_sm")
_KINDS = {"PERSON": "PERSON", "PER": "PERSON", "GPE": "PLACE", "LOC": "PLACE", "FAC": "PLACE"}
_SHAPED_LIKE_A_NAME = re.compile(r"[^\W\d_]+(?:[ .'’-]+[^\W\d_]+)*\.?")
_LONGEST = 100_000  # characters at a time: spaCy refuses a million, and what it keeps in memory grows with them
_NOT_NEEDED = ["tagger", "parser", "lemmatizer", "attribute_ruler", "morphologizer"]  # for finding names


def installed(model: str | None) -> str | None:
    """The model to use: the one asked for, else the best of the usual ones that is installed, else none.

    Args:
        model: name of an installed package, or a folder.

    Raises:
        ConfigurationError: the model that was asked for is not there.
    """
    if model is None:
        return next((name for name in _USUAL if find_spec(name)), None)
    if not Path(model).is_dir() and not (model.isidentifier() and find_spec(model)):
        raise ConfigurationError(f"hygiene.ner_model: {model} is not installed", "leave it out, or install that model")
    return model


class Names:
    """Made once: it loads the model."""

    def __init__(self, model: str) -> None:
        import spacy

        self._model = spacy.load(model, exclude=_NOT_NEEDED)
        self._one_at_a_time = Lock()  # spaCy does not promise that threads may share a model

    def find(self, text: str) -> Iterator[Found]:
        """What the model takes for a person or a place."""
        for begin, piece in _pieces(text):
            with self._one_at_a_time:
                entities = self._model(piece).ents
            for entity in entities:
                if entity.label_ in _KINDS and entity.text[0].isupper() and _SHAPED_LIKE_A_NAME.fullmatch(entity.text):
                    yield Found(begin + entity.start_char, begin + entity.end_char, _KINDS[entity.label_])


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Where each begins, and the piece; it ends with a line, else with a word, where there is an end of one."""
    begin = 0
    while begin < len(text):
        end = begin + _LONGEST
        if end < len(text):
            ends = (text.rfind(sign, begin, end) + 1 for sign in "\n ")
            end = next((each for each in ends if each > begin), end)
        yield begin, text[begin:end]
        begin = end
