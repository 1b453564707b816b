"""Finds the numbers that states give to people: social security, tax, identity cards. Most carry a check digit.

One in ten or twenty chance numbers passes such a check. So a number of digits only counts when a word about it stands
near ("PESEL", "social security"); one with letters or hyphens in the right places counts by itself.
"""

import re
from collections.abc import Iterator

from pipeline.hygiene.recognizers import ENOUGH, Recognizer
from pipeline.hygiene.spans import Found

_BY_FORM = {
    "UsSsnRecognizer": r"\d{3}[- .]?\d\d[- .]?\d{4}",
    "UsItinRecognizer": r"9\d\d[- ]?\d\d[- ]?\d{4}",
    "UkNinoRecognizer": r"[A-Za-z]{2} ?\d\d ?\d\d ?\d\d ?[A-Da-d]",
    "EsNifRecognizer": r"\d{7}-?[A-Za-z]",
    "EsNieRecognizer": r"[X-Zx-z]\d{7}-?[A-Za-z]",
    "ItFiscalCodeRecognizer": r"[A-Za-z]{6}\w\w[A-Za-z]\w\w[A-Za-z]",
    "FiPersonalIdentityCodeRecognizer": r"\d{6}[-+A-Fa-fU-Yu-y]\d{3}\w",
    "DeSocialSecurityRecognizer": r"\d{8}[A-Za-z]\d{3}",
    "SePersonnummerRecognizer": r"\d{6}[-+]\d{4}",
    "KrRrnRecognizer": r"\d{6}-\d{7}",
}
_BY_WORD = {
    "NhsRecognizer": r"\d{3}[- ]?\d{3}[- ]?\d{4}",
    "PlPeselRecognizer": r"\d{11}",
    "DeTaxIdRecognizer": r"\d{11}",
    "TrNationalIdRecognizer": r"\d{11}",
    "CaSinRecognizer": r"\d{3}[- ]?\d{3}[- ]?\d{3}",
    "InAadhaarRecognizer": r"\d{4}[- :]?\d{4}[- :]?\d{4}",
    "AuTfnRecognizer": r"\d{3}\s?\d{3}\s?\d{3}",
    "AuMedicareRecognizer": r"\d{4}\s?\d{5}\s?\d",
}
_NEAR = 60  # characters before, and half as many after, in which a word about a number counts


class IdentityNumbers:
    """Used from any number of threads."""

    def __init__(self) -> None:
        self._recognizers = [
            (Recognizer(name, hint), table is _BY_FORM)
            for table in (_BY_FORM, _BY_WORD)
            for name, hint in table.items()
        ]

    def find(self, text: str) -> Iterator[Found]:
        """All of them; some may overlap."""
        for recognizer, by_form in self._recognizers:
            for start, end, score in recognizer.scored(text):
                tells = by_form and score >= ENOUGH and re.search(r"[A-Za-z+-]", text[start:end])
                if tells or recognizer.words.search(text, max(0, start - _NEAR), end + _NEAR // 2):
                    yield Found(start, end, "ID")
