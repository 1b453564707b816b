"""The simple score of an answer that nobody judges: it finds stubs, it does not know what is true.

0.5    whatever it is
+0.2   the answer has 100 characters or more
+0.15  answer or reasoning has a word that gives a reason (because, therefore, since, …)
+0.1   the answer has a code fence, or a line that begins like code
"""

import re

from pipeline.backends.teachers.interface import Draft

LONG = 100  # characters
_REASON = re.compile(
    r"\b(?:because|therefore|thus|hence|since|so that|due to|as a result|consequently|first|then|finally|step)\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"```|^[ \t]*(?:def |class |import |from \w+ import |return |function |const |let |#include|SELECT )", re.M
)


def score(draft: Draft) -> float:
    """Between 0.5 and 0.95."""
    points = 50
    points += 20 * (len(draft.answer) >= LONG)
    points += 15 * bool(_REASON.search(draft.answer) or _REASON.search(draft.reasoning))
    points += 10 * bool(_CODE.search(draft.answer))
    return points / 100
