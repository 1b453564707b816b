"""How long texts are, in the base model's own tokens."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.lib.config import Settings

_CHARACTERS = 4  # in a token of a usual model, roughly


def counter(settings: Settings) -> Callable[[Sequence[str]], list[int]]:
    """A function from texts to their numbers of tokens.

    A base model that is only known by its hub id has no tokenizer here: a token is taken for four characters then.
    """
    path = Path(settings.base_folder) / "tokenizer.json"
    if not path.is_file():
        return lambda texts: [1 + len(text) // _CHARACTERS for text in texts]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return lambda texts: [len(each.ids) for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
