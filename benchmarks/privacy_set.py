"""Labelled texts for the scrubber, made from a seed: chat, code, logs, tables in several languages, with exact spans.

The sentences were written before the scrubber and from the formats' public definitions. Half of the texts hold nothing
personal, but much that looks like it: version strings, hashes, ISBNs, order numbers, coordinates, arithmetic.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchmarks import privacy_values as values
from benchmarks.privacy_values import chars, digits

PERSONAL = ("EMAIL", "PHONE", "CARD", "IBAN", "IP", "MAC", "WALLET", "ID")
NAMES = ("PERSON", "PLACE")
_SLOT = re.compile(r"%([a-z_]+)%")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` up to `end` of a text are of this class."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and everything in it that must go. `about` names the format, for the table."""

    text: str
    spans: tuple[Span, ...]
    about: str


def _isbn13(random: Random) -> str:
    number = "978" + digits(random, "#########")
    return number + str(-sum(int(each) * (1 + 2 * (at % 2)) for at, each in enumerate(number)) % 10)


def _not_luhn(random: Random) -> str:
    number = digits(random, "^##############")
    return number + str((int(values.luhn(number)) + random.randint(1, 9)) % 10)


# What a slot is filled with, and the class that makes it a label (none: it has to stay).
_MAKERS: dict[str, tuple[str | None, Callable[[Random], str]]] = {
    "email": ("EMAIL", values.email),
    "phone": ("PHONE", values.phone),
    "card": ("CARD", values.card),
    "iban": ("IBAN", values.iban),
    "ip": ("IP", values.ip),
    "mac": ("MAC", values.mac),
    "wallet": ("WALLET", values.wallet),
    "ssn": ("ID", values.us_ssn),
    "dni": ("ID", values.es_dni),
    "hetu": ("ID", values.fi_hetu),
    "pesel": ("ID", values.pl_pesel),
    "nino": ("ID", values.uk_nino),
    "person": ("PERSON", lambda r: f"{r.choice(values.GIVEN)} {r.choice(values.FAMILY)}"),
    "place": ("PLACE", lambda r: r.choice(values.PLACES)),
    "number": (None, lambda r: str(r.randint(1, 9999))),
    "small": (None, lambda r: str(r.randint(2, 60))),
    "version": (None, lambda r: f"{r.randint(0, 30)}.{r.randint(0, 20)}.{r.randint(0, 12)}"),
    "build": (None, lambda r: f"{r.randint(1, 20)}.{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 40)}"),
    "hash": (None, lambda r: chars(r, values.HEX, 40)),
    "short_hash": (None, lambda r: chars(r, values.HEX, 8)),
    "sha": (None, lambda r: chars(r, values.HEX, 64)),
    "md5": (None, lambda r: chars(r, values.HEX, 32)),
    "uuid": (None, lambda r: str(uuid.UUID(bytes=r.randbytes(16), version=4))),
    "date": (None, lambda r: f"{r.randint(1990, 2030)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}"),
    "german_date": (None, lambda r: f"{r.randint(1, 28):02}.{r.randint(1, 12):02}.{r.randint(1990, 2030)}"),
    "time": (None, lambda r: f"{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}"),
    "epoch": (None, lambda r: str(r.randint(1_500_000_000, 1_900_000_000))),
    "isbn": (None, _isbn13),
    "isbn_parts": (None, lambda r: digits(r, "978-3-16-######-#")),
    "id16": (None, _not_luhn),
    "id12": (None, lambda r: digits(r, "^###########")),
    "id9": (None, lambda r: digits(r, "^########")),
    "float": (None, lambda r: digits(r, "0.################")),
    "latitude": (None, lambda r: digits(r, "^#.######")),
    "price": (None, lambda r: f"{r.randint(1, 999)}.{r.randint(0, 99):02}"),
    "hex_color": (None, lambda r: "#" + chars(r, values.HEX, 6)),
    "private_ip": (None, lambda r: r.choice(["192.168", "10.0", "172.16"]) + digits(r, ".^#.^#")),
    "sample_ip": (None, lambda r: r.choice(["192.0.2", "198.51.100", "203.0.113"]) + digits(r, ".^#")),
    "base64": (None, lambda r: chars(r, values.ALNUM + "+/", 86) + "=="),
}

_CHAT = [
    "Please send the invoice to %X% before Friday, thanks!",
    "my data has changed, it is now %X%. can you update the letter?",
    "Hi,\ncould you check %X% for me? I can't log in since %date%.\nBest",
    "Translate: 'You reach me under %X% every day from %small% o'clock.'",
    "Bonjour, voici mes coordonnées : %X%. Merci de répondre avant le %german_date%.",
    "Meine Daten: %X% – bitte nicht weitergeben. Bestellung vom %german_date%.",
    "Mis datos son %X%, ¿me lo puedes confirmar?",
    "Write a polite mail. Contact: (%X%)",
    "%X%",
    "Is %X% in the right format, and how many characters has it?",
    "| customer | contact | total |\n|---|---|---|\n| %number% | %X% | %price% |",
    "%date% %time% INFO user=%number% contact=%X% status=ok",
    '{"id": %number%, "contact": "%X%", "created": "%date%"}',
    "rows = [\n    ('%X%', %price%),\n]\nprint(len(rows))",
    "id;contact;amount\n%number%;%X%;%price%",
    "1. call back\n2. compare with %X%\n3. close ticket %number%",
]
_PHONE = ["Call me at %phone%.", "Tel.: %phone%", "phone: %phone%, fax is broken", "My mobile is %phone% (evenings)"]
_IP = [
    "%date%T%time%Z sshd[%number%]: Failed password for root from %ip% port %number% ssh2",
    "ping %ip% loses packets, the gateway %private_ip% does not",
    '%ip% - - [%date%:%time%] "GET /index.html HTTP/1.1" 200 %number%',
    "Why does %ip% answer in my traceroute?",
]
_MAC = [
    "arp shows %mac% for the printer",
    "ether %mac%  txqueuelen 1000",
    "Block the device with the MAC address %mac%, please.",
]
_ID = [
    "My SSN is %ssn%, do I need it for the form?",
    "social security number: %ssn%",
    "Mi DNI es %dni% y necesito el certificado",
    "henkilötunnus %hetu%",
    "Mój PESEL: %pesel%, proszę o pomoc z formularzem",
    "My national insurance number is %nino%.",
]
_NEGATIVE = [
    'PUSH #%small%\nPUSH #%number%\nADD\nSTORE "total"\nHALT',
    'loop:\nLOAD "n"\nJZ done\nPUSH #1\nSUB\nSTORE "n"\nJMP loop\ndone:\nHALT',
    "commit %hash%\nDate:   Thu %date% %time%\n\n    Fix off-by-one in parser",
    "%short_hash% Merge branch 'main' into fix-%number%",
    "git revert %hash% failed, what now?",
    "pip install torch==%version% numpy>=%version%",
    "Windows build %build% crashes, version %version% was fine",
    "ffmpeg version %build% Copyright (c) 2000-2024",
    "The request %uuid% took %float% s.",
    "sha256:%sha%",
    "md5sum is %md5%, is this file damaged?",
    "The book has ISBN %isbn% (or %isbn_parts%) and costs %price% euros.",
    "order number %id16% has not arrived",
    "Tracking %id12%, customer %id9%, please refund %price%.",
    "The tower stands at %latitude%, %latitude%.",
    "What is %number% + %number% * (%small% - %number%) / %small%?",
    "What is %id12% - %id9%?",
    "%id9% * %id9% = ?",
    "0.1 + 0.2 gives 0.30000000000000004, why? And %float%?",
    "body { color: %hex_color%; background: %hex_color%; margin: 0 %small%px }",
    "It happened at %epoch% (unix time), that is %date% %time%.",
    "[%date% %time%] epoch=%epoch% loss=%float% lr=0.00005",
    "Set the server to %private_ip% and the mask to 255.255.255.0",
    "Use 127.0.0.1:8808 or ::1, documentation says %sample_ip%.",
    "curl http://%private_ip%:8080/health",
    "Sort these: %number%, %number%, %number%, %number%, %number%",
    "See pages %number%-%number% and 12-34-56.",
    "Meeting on %german_date% at %time%, room %small%.",
    "Python %version% vs %version%: std::vector<int>::iterator a::b",
    '"integrity": "sha512-%base64%"',
    "password: must be at least 12 characters",
    "What is the difference between an api_key and a token?",
    "password = getpass.getpass('Password: ')",
    'api_key = os.environ["API_KEY"]',
    "DB_PASSWORD=${DB_PASSWORD}",
    'client = OpenAI(api_key="<your-api-key>")',
    "def login(user, password=None):\n    return check(user, password)",
    'if (password == "") { throw new Error("empty") }',
    "The secret: cook the tomatoes for %small% minutes.",
    "Mail to user@example.com or admin@example.org in the example.",
    "@decorator\ndef f(self): return self @ other  # matrix %small%x%small%",
    "git clone git@github.com:someone/project.git",
    "postgres://user:password@localhost:5432/app is the form of the URL",
    "for i in range(%number%): x[i] = %float%",
    "%number% %number% %number% %number%\n%number% %number% %number% %number%",
    "The vaccine lot %id9% expires %date%; dose %small% ml every %small% h.",
    "%date% %date% %date%",
    "Fibonacci: 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987",
    "pi = 3.14159265358979323846, e = 2.718281828459045",
    "1,234,567.89 + 9,876,543.21",
    "$%price% - %small% % = ?",
    "matrix = [[%number%, %number%], [%number%, %number%]]",
    "score 6-4 3-6 7-6, then 2024-25 season 21-19",
    "data:image/png;base64,%base64%",
]
_NAMES = [
    "My colleague %person% moved to %place% last year.",
    "Write a letter to %person%, who lives in %place%.",
    "%person% asked whether the train from %place% is late.",
    "I am %person% and I need a doctor in %place%.",
]


def fill(random: Random, template: str, about: str) -> Labelled:
    """A template with values in its slots, the personal ones labelled."""
    text, spans, last = "", [], 0
    for slot in _SLOT.finditer(template):
        kind, maker = _MAKERS[slot[1]]
        text += template[last : slot.start()]
        value = maker(random)
        if kind:
            spans.append(Span(len(text), len(text) + len(value), kind))
        text += value
        last = slot.end()
    return Labelled(text + template[last:], tuple(spans), about)


def personal(seed: int, each: int = 100) -> list[Labelled]:
    """`each` texts of every class of personal data, and as many again in sum that hold none."""
    random, made = Random(seed), []
    own = {"PHONE": _PHONE, "IP": _IP, "MAC": _MAC, "ID": _ID}
    for kind in PERSONAL:
        slot = f"%{kind.lower()}%"
        general = [template.replace("%X%", slot) for template in _CHAT] if f"{kind.lower()}" in _MAKERS else []
        for _ in range(each):
            templates = own[kind] if kind in own and (not general or random.random() < 0.5) else general
            made.append(fill(random, random.choice(templates), kind))
    made += [fill(random, random.choice(_NEGATIVE), "nothing") for _ in range(each * len(PERSONAL))]
    return made


def names(seed: int, count: int = 200) -> list[Labelled]:
    """Texts with a person and a place each."""
    random = Random(seed)
    return [fill(random, random.choice(_NAMES), "names") for _ in range(count)]
