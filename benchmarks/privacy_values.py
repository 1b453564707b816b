"""Made-up personal data, each drawn from a seed by the public definition of its format.

Check digits are right (Luhn, ISO 7064 mod 97, base58check, bech32, …), so that whoever checks them finds nothing wrong.
"""

import hashlib
import string
from random import Random

ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
HEX = "0123456789abcdef"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

_GIVEN = "Anna,Priya,Wei,José,Fatima,Liam,Olga,Kwame,Chloé,Jürgen,Aiko,Mateo,Ingrid,Omar,Zofia,Tom,Nadia,Sven"
_FAMILY = "Schneider,Patel,Zhang,García,Haddad,Murphy,Ivanova,Mensah,Lefèvre,Weiß,Tanaka,Rossi,Larsen,Kowalska"
_PLACES = "Munich,Lyon,Kraków,Nairobi,São Paulo,Osaka,Leeds,Toronto,Ljubljana,Valencia,Chennai,Bergen,Denver"
_HOSTS = "gmail.com,web.de,orange.fr,outlook.com,acme-tools.io,cs.uni-bonn.de,mail.ru,libero.it,proton.me,bbc.co.uk"
GIVEN, FAMILY, PLACES = _GIVEN.split(","), _FAMILY.split(","), _PLACES.split(",")


def chars(random: Random, alphabet: str, length: int) -> str:
    """So many characters of an alphabet."""
    return "".join(random.choices(alphabet, k=length))


def digits(random: Random, pattern: str) -> str:
    """Each `#` becomes a digit, each `^` a digit from 1 to 9."""
    return "".join(
        random.choice("0123456789") if sign == "#" else random.choice("123456789") if sign == "^" else sign
        for sign in pattern
    )


def luhn(number: str) -> str:
    """The digit that Luhn's sum wants behind this number."""
    total = sum(sum(divmod(int(each) * (2 - place % 2), 10)) for place, each in enumerate(reversed(number)))
    return str(-total % 10)


def email(random: Random) -> str:
    """Common forms of the part before the @, real kinds of domains."""
    given, family = random.choice(GIVEN).lower(), random.choice(FAMILY).lower()
    ascii_only = str.maketrans("éüßèíó", "euseio")
    given, family = given.translate(ascii_only), family.translate(ascii_only)
    local = random.choice(
        [f"{given}.{family}", f"{given}{random.randint(1, 99)}", f"{given[0]}_{family}", f"{family}+shop", given]
    )
    return f"{local}@{random.choice(_HOSTS.split(','))}"


def phone(random: Random) -> str:
    """Numbers in use, as people of 14 countries write them."""
    area = random.choice(["212", "305", "312", "415", "503", "617", "702", "818", "916"])
    return digits(
        random,
        random.choice(
            [
                f"+1 {area}-273-####",
                f"({area}) 482-####",
                f"{area}-632-####",
                f"{area}.744.####",
                "+44 7911 1#####",
                "07911 1#####",
                "+44 20 7183 ####",
                "020 7183 ####",
                "+49 30 2093####",
                "030 2093####",
                "+49 (0)171 23#####",
                "0171/23#####",
                "+33 6 12 3# ## ##",
                "06 12 3# ## ##",
                "01 42 6# ## ##",
                "+34 612 34# ###",
                "612 34# ###",
                "+39 347 12# ####",
                "347 12# ####",
                "+31 6 1234####",
                "06-1234####",
                "+55 11 9123#-####",
                "(11) 9123#-####",
                "+91 98765 4####",
                "98765 4####",
                "+81 90-1234-####",
                "+48 601 23# ###",
                "+41 79 123 ## ##",
                "079 123 ## ##",
                "+61 412 34# ###",
                "0412 34# ###",
                "+4915112######",
                "+1415273####",
                "0043 664 123####",
            ]
        ),
    )


def card(random: Random) -> str:
    """Visa, Mastercard, Discover (16 digits), American Express (15), with and without separators."""
    separator = random.choice([" ", "-", ""])
    if random.random() < 0.2:
        number = digits(random, random.choice(["34", "37"]) + "############")
        number += luhn(number)
        return separator.join((number[:4], number[4:10], number[10:]))
    number = digits(random, random.choice(["4###", "51##", "55##", "6011"]) + "###########")
    number += luhn(number)
    return separator.join(number[at : at + 4] for at in range(0, 16, 4))


def iban(random: Random) -> str:
    """ISO 13616 with its check digits, in print form (fours) or electronic form."""
    country, pattern = random.choice(
        [
            ("DE", "##################"),
            ("FR", "#######################"),
            ("GB", "NWBK##############"),
            ("ES", "####################"),
            ("IT", "X######################"),
            ("NL", "ABNA##########"),
            ("CH", "#################"),
            ("AT", "################"),
            ("BE", "############"),
            ("PL", "########################"),
            ("SE", "####################"),
            ("NO", "###########"),
        ]
    )
    account = digits(random, pattern)
    number = "".join(str(int(sign, 36)) for sign in f"{account}{country}00")
    compact = f"{country}{98 - int(number) % 97:02}{account}"
    if random.random() < 0.5:
        return compact
    return " ".join(compact[at : at + 4] for at in range(0, len(compact), 4))


def ip(random: Random) -> str:
    """A public IPv4 or IPv6 address."""
    if random.random() < 0.6:
        first = random.choice([8, 34, 52, 81, 93, 142, 151, 185, 216])
        return f"{first}." + ".".join(str(random.randint(1, 254)) for _ in range(3))
    prefix = random.choice(["2a00:1450", "2606:4700", "2a02:8108", "2400:cb00"])
    if random.random() < 0.5:
        return f"{prefix}:" + ":".join(f"{random.randint(4096, 65535):x}" for _ in range(6))
    return f"{prefix}::{random.randint(1, 65535):x}"


def mac(random: Random) -> str:
    """A hardware address with colons or hyphens."""
    first = f"{random.randrange(0, 256, 4):02x}"
    parts = [first, *(f"{random.randrange(256):02x}" for _ in range(5))]
    return random.choice([":".join(parts), "-".join(parts).upper()])


def wallet(random: Random) -> str:
    """A Bitcoin (base58check, bech32) or Ethereum address."""
    payload = random.randbytes(20)
    kind = random.choice(["p2pkh", "p2sh", "bech32", "ethereum"])
    if kind == "ethereum":
        return "0x" + payload.hex()
    if kind == "bech32":
        return _bech32(payload)
    raw = (b"\x00" if kind == "p2pkh" else b"\x05") + payload
    raw += hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4]
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\x00"))) + text


def _bech32(program: bytes) -> str:
    """BIP 173: witness version 0, a 20-byte program."""
    bits = "".join(f"{byte:08b}" for byte in program)
    values = [0, *(int(bits[at : at + 5], 2) for at in range(0, len(bits), 5))]
    expanded = [3, 3, 0, 2, 3, *values]  # "bc"
    checksum = 1
    for value in [*expanded, *[0] * 6]:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= factor if top >> place & 1 else 0
    checksum ^= 1
    values += [checksum >> 5 * (5 - place) & 31 for place in range(6)]
    return "bc1" + "".join(_BECH32[value] for value in values)


def us_ssn(random: Random) -> str:
    """A social security number: no area 000, 666 or above 899."""
    return f"{random.randint(101, 665)}-{random.randint(11, 99)}-{random.randint(1000, 9999)}"


def es_dni(random: Random) -> str:
    """Spain: eight digits and the letter of the remainder by 23."""
    number = random.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def fi_hetu(random: Random) -> str:
    """Finland: birthday, sign of the century, serial, check character of the remainder by 31."""
    birth = f"{random.randint(1, 28):02}{random.randint(1, 12):02}{random.randint(40, 99):02}"
    serial = f"{random.randint(2, 899):03}"
    return f"{birth}-{serial}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(birth + serial) % 31]}"


def pl_pesel(random: Random) -> str:
    """Poland: birthday, serial, weighted check digit."""
    number = f"{random.randint(50, 99)}{random.randint(1, 12):02}{random.randint(1, 28):02}{digits(random, '####')}"
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    return number + str(-sum(int(each) * weight for each, weight in zip(number, weights, strict=True)) % 10)


def uk_nino(random: Random) -> str:
    """United Kingdom: two letters, six digits, a suffix."""
    prefix = random.choice(["AB", "CE", "EH", "GH", "JK", "LM", "PR", "SW", "WM", "YZ"])
    return digits(random, random.choice([f"{prefix}######", f"{prefix} ## ## ## "])) + random.choice("ABCD")
