"""Whether an answer is in a script that nobody used or asked for. Languages of one script are not told apart."""

import re
import unicodedata
from collections import Counter

_ENOUGH = 20  # letters of an answer, to say anything
_MOST = 0.6  # share of its letters
_ASKED_FOR = re.compile(
    r"translat|übersetz|tradu|перев[её]д|翻译|翻訳|language|sprache|alphabet|script|arabic|chinese|mandarin|cyrillic|greek|"
    r"hebrew|hindi|japanese|korean|persian|russian|thai|ukrainian|arabisch|chinesisch|griechisch|japanisch|russisch",
    re.IGNORECASE,
)


def foreign(answer: str, context: str) -> bool:
    """Whether most of an answer is in a script that does not occur in the context, which asks for none."""
    letters = _scripts(answer)
    if letters.total() < _ENOUGH or _ASKED_FOR.search(context):
        return False
    script, count = letters.most_common(1)[0]
    return count > _MOST * letters.total() and script not in _scripts(context) and bool(_scripts(context))


def _scripts(text: str) -> Counter[str]:
    """How many letters there are of each script, by the first word of their Unicode names."""
    return Counter(unicodedata.name(each, "?").split()[0] for each in text if each.isalpha())
