"""Finds names of persons and places, where a spaCy model for it is installed. Without one they stay.

Such a model guesses, other than the expressions beside it: it misses names and takes other words for names.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from pipeline.hygiene.spans import Found
from pipeline.lib.errors import ConfigurationError

_USUAL = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm", "xx_ent_wiki_sm")
_KINDS = {"PERSON": "PERSON", "PER": "PERSON", "GPE": "PLACE", "LOC": "PLACE", "FAC": "PLACE"}


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

        self._model = spacy.load(model)

    def find(self, text: str) -> Iterator[Found]:
        """What the model takes for a person or a place."""
        for entity in self._model(text).ents:
            if entity.label_ in _KINDS:
                yield Found(entity.start_char, entity.end_char, _KINDS[entity.label_])
