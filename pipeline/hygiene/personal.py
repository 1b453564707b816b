"""Finds personal data of fixed form: mail, telephone, cards, accounts, wallets, network addresses, national numbers.

Stays: mail addresses that mean nobody (example.com, .org, .net, .test; `git@host`), networks that are private, of the
machine itself or for documentation, and version strings of four parts after a word like "version".
"""

import ipaddress
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from pipeline.hygiene.identity import IdentityNumbers
from pipeline.hygiene.phone import Phones
from pipeline.hygiene.recognizers import Recognizer, standing_alone
from pipeline.hygiene.spans import Found

_RECOGNIZERS = {
    "CreditCardRecognizer": ("CARD", r"\d{4}[ -]?\d{3,6}[ -]?\d{3}"),
    "IbanRecognizer": ("IBAN", r"[A-Za-z]{2}\d\d ?\w{4}"),
    "MacAddressRecognizer": ("MAC", r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]"),
    "CryptoRecognizer": ("WALLET", r"(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25}"),
}
_ADDRESS = r"\d\.\d{1,3}\.\d|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]*:"
_CARD = re.compile(r"\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")  # as they are printed
_ETHEREUM = re.compile(r"\b0x[0-9a-fA-F]{40}\b")  # presidio knows Bitcoin only
_VERSION = re.compile(r"(?i)(?:\bv|version|release|build|firmware|driver|[=<>~]=)\s*[:=]?\s*$")
_NOBODY = re.compile(r"(?i)@(?:[\w.-]+\.)?(?:example(?:\.(?:com|org|net))?|test|invalid|localhost|local)$|^git@")
# All that has been given out of IPv6. `a::b` in C++ is an address too, but nobody's.
_GIVEN_OUT = ipaddress.ip_network("2000::/3")
_DIGIT = re.compile(r"\d|::")
_AT = re.compile(r"(?<=\S)@(?=\w[\w.-]{0,250}\.\w)")
_LONGEST_LOCAL, _LONGEST_DOMAIN = 64, 255  # characters; the expression of presidio is slow on long runs of letters
_NOT_IN_MAIL = re.compile(r".*[=/{|}`?^*#$&!~]'*|'+")  # allowed before an @ by its standard, used by no provider


class PersonalData:
    """Used from any number of threads; imports presidio, which takes seconds, for the first text that needs it."""

    def __init__(self) -> None:
        self._plain = [(Recognizer(name, hint), kind) for name, (kind, hint) in _RECOGNIZERS.items()]
        self._addresses = Recognizer("IpRecognizer", _ADDRESS)
        self._phones, self._identity = Phones(), IdentityNumbers()

    @cached_property
    def _mail(self) -> Any:
        from presidio_analyzer import PatternRecognizer
        from presidio_analyzer.predefined_recognizers import EmailRecognizer

        return PatternRecognizer("EMAIL", patterns=EmailRecognizer.PATTERNS)

    @cached_property
    def _domain(self) -> Any:
        """EmailRecognizer would fetch the list of public suffixes; the one that comes with tldextract will do."""
        from tldextract import TLDExtract

        return TLDExtract(cache_dir=None, suffix_list_urls=())

    def find(self, text: str) -> Iterator[Found]:
        """All of it; some may overlap."""
        yield from self._mails(text)
        if not _DIGIT.search(text):
            return
        for recognizer, kind in self._plain:
            for start, end in recognizer.spans(text):
                if kind != "CARD" or _CARD.fullmatch(text, start, end):
                    yield Found(start, end, kind)
        for match in _ETHEREUM.finditer(text):
            yield Found(*match.span(), "WALLET")
        for start, end in self._addresses.spans(text):
            if _is_somebodys(text[start:end]) and not _VERSION.search(text, max(0, start - 20), start):
                yield Found(start, end, "IP")
        yield from self._phones.find(text)
        yield from self._identity.find(text)

    def _mails(self, text: str) -> Iterator[Found]:
        for sign in _AT.finditer(text):
            first = max(0, sign.start() - _LONGEST_LOCAL)
            for start, end, _ in standing_alone(self._mail, text[first : sign.end() + _LONGEST_DOMAIN]):
                start, end = first + start, first + end
                if start <= sign.start() < end:
                    refused = _NOT_IN_MAIL.match(text, start, sign.start())
                    start += len(refused[0]) if refused else 0
                    address = text[start:end]
                    if address[0] != "@" and self._domain(address).fqdn and not _NOBODY.search(address):
                        yield Found(start, end, "EMAIL")


def _is_somebodys(address: str) -> bool:
    """On the internet: not private, not of this machine, not for documentation or multicast."""
    found = ipaddress.ip_interface(address).ip
    if isinstance(found, ipaddress.IPv6Address) and found not in _GIVEN_OUT:
        return False
    return found.is_global and not found.is_multicast
