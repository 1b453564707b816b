"""Finds telephone numbers in a text, through presidio (and under it phonenumbers).

phonenumbers takes nearly every group of ten digits for somebody's number, and is slow. So it is asked only about runs
of digits, and a number without a country code counts only when it is grouped as its country does, or a word like
"call" stands before it.
"""

import re
from collections.abc import Iterator

from pipeline.hygiene.spans import Found

# Whose national forms are known; a number with + or 00 is found whatever its country.
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "BR", "IN", "AU", "PL", "JP")
_RUN = re.compile(r"(?:\+|00|\()?\d[\d \t\u00a0()./-]{5,22}\d")
_NOT_BEFORE = re.compile(r"[\w#$€£/-]|(?<=\d)\.")
_WORDS = re.compile(
    r"\b(?:phone|call|tel|telephone|mobile|cell|cellphone|fax|sms|whatsapp|text me|ring|telefon|telefonnummer|handy"
    r"|mobil|rufnummer|anrufen|téléphone|portable|appeler|teléfono|móvil|llama|telefono|cellulare|telefone|celular)\b",
    re.IGNORECASE,
)
_NEAR = 40  # characters before a number in which such a word counts
_DECIMALS = re.compile(r"\d+\.\d+$|.*\d\.\d{6,}$")  # coordinates, fractions
_FEWEST = 7  # digits; shorter ones are for emergencies
_SEPARATED = re.compile(r"\d[ ()./\u00a0-]+\d")


class Phones:
    """Made once (it imports presidio); then used from any number of threads."""

    def __init__(self) -> None:
        from presidio_analyzer.predefined_recognizers import PhoneRecognizer

        self._international = PhoneRecognizer(supported_regions=("DE",), leniency=1)
        self._announced = PhoneRecognizer(supported_regions=REGIONS, leniency=1)
        self._grouped = PhoneRecognizer(supported_regions=REGIONS, leniency=2)

    def find(self, text: str) -> Iterator[Found]:
        """All of them; some may overlap."""
        for run in _RUN.finditer(text):
            if run.start() and _NOT_BEFORE.match(text, run.start() - 1):
                continue
            number = run[0]
            if _DECIMALS.match(number):
                continue
            if number.startswith(("+", "00")):
                recognizer = self._international
            elif _WORDS.search(text, max(0, run.start() - _NEAR), run.start()):
                recognizer = self._announced
            elif _SEPARATED.search(number):
                recognizer = self._grouped
            else:
                continue
            for result in recognizer.analyze(number, ["PHONE_NUMBER"]):
                if sum(map(str.isdigit, number[result.start : result.end])) >= _FEWEST:
                    yield Found(run.start() + result.start, run.start() + result.end, "PHONE")
