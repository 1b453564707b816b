"""Finds telephone numbers in a text, through presidio (and under it phonenumbers).

phonenumbers takes nearly every group of ten digits for somebody's number, and is slow. So it is asked only about runs
of digits, and a number without a country code counts only when it is grouped as its country does, or a word like
"call" stands before it.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from pipeline.hygiene.spans import Found

# Whose national forms are known; a number with + or 00 is found whatever its country. More where a word announces it.
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "BR", "IN", "AU", "PL", "JP")
_MORE_REGIONS = ("CN", "KR", "IL", "RU", "TR", "MX", "AT", "BE", "SE", "IE", "ZA", "NG")
_RUN = re.compile(r"(?:\+|00|\()?\d[\d \t\u00a0()./-]{5,22}\d(?!\d)")
_NOT_BEFORE = re.compile(r"[A-Za-z0-9_#$€£/)-]|(?<=\d)\.")
_WORDS = re.compile(
    r"\b(?:phone|call|tel|telephone|mobile|cell|cellphone|fax|sms|whatsapp|text me|ring|telefon|telefonnummer|handy"
    r"|mobil|rufnummer|anrufen|téléphone|portable|appeler|teléfono|móvil|llama|telefono|cellulare|telefone|celular|телефон)\b"
    r"|电话|手机|電話|携帯|전화",
    re.IGNORECASE,
)
_NEAR = 40  # characters before a number in which such a word counts
_NO_PHONE = re.compile(r"\d+\.\d+$|.*\d\.\d{6,}$|\d{5}-\d{4}$|(?:\d[ ./-]+){3}")  # decimals, postcodes, rows of digits
# How a number without country code looks that nothing announces: (030) 20…, 0171/23…, 415-632-1234, 98765 43210.
_GROUPED = re.compile(
    r"\(\d+\)[ ./-]{0,3}\d|\(?(?:0\d+[ ./-]+\d|\d{3}([ .-])\d{2,3}\1\d\d|[6-9]\d{4} \d{5}$)",
)
_COUNTED = (re.compile(r"[*+^%]\s*$"), re.compile(r"\)?\s*[*+=^%]"))  # what stands before and after in arithmetic
_FEWEST = 7  # digits; shorter ones are for emergencies


class Phones:
    """Used from any number of threads; imports presidio when the first text could hold a number."""

    @cached_property
    def _international(self) -> list[Any]:
        return _recognizers(("DE",), leniency=1)

    @cached_property
    def _announced(self) -> list[Any]:
        return _recognizers(REGIONS + _MORE_REGIONS, leniency=1)

    @cached_property
    def _grouped(self) -> list[Any]:
        return _recognizers(REGIONS, leniency=2)

    def find(self, text: str) -> Iterator[Found]:
        """All of them; some may overlap."""
        for run in _RUN.finditer(text):
            if sum(map(str.isdigit, run[0])) < _FEWEST:
                continue
            if _NO_PHONE.match(run[0]) or (run.start() and _NOT_BEFORE.match(text, run.start() - 1)):
                continue
            international = run[0].startswith(("+", "00"))
            announced = bool(_WORDS.search(text, max(0, run.start() - _NEAR), run.start()))
            if not (international or announced) and _is_counted(text, *run.span()):
                continue
            recognizers = self._international if international else self._announced if announced else self._grouped
            for start, end in _numbers(recognizers, run[0]):
                number = run[0][start:end]
                shaped = international or announced or _GROUPED.match(number)
                if shaped and sum(map(str.isdigit, number)) >= _FEWEST:
                    yield Found(run.start() + start, run.start() + end, "PHONE")


def _recognizers(regions: tuple[str, ...], leniency: int) -> list[Any]:
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    return [PhoneRecognizer(supported_regions=(region,), leniency=leniency) for region in regions]


def _is_counted(text: str, start: int, end: int) -> bool:
    before, after = _COUNTED
    return bool(before.search(text, max(0, start - 5), start) or after.match(text, end))


def _numbers(recognizers: list[Any], text: str) -> list[tuple[int, int]]:
    """What the countries find; each costs time, so the first that takes the whole text for a number is enough."""
    found: list[tuple[int, int]] = []
    for recognizer in recognizers:
        found += [(result.start, result.end) for result in recognizer.analyze(text, ["PHONE_NUMBER"])]
        if (0, len(text)) in found:
            break
    return found
