"""Made-up secrets in the formats that vendors give out, each planted in a text where people put it."""

import base64
import json
import string
from collections.abc import Callable
from random import Random

from benchmarks.privacy_set import Labelled, Span, fill
from benchmarks.privacy_values import ALNUM, HEX, URL_SAFE, chars, digits

_ANYWHERE = [
    "is this key still valid: %X%",
    "I pasted %X% into the chat by mistake, what now?",
    'client = Client("%X%")',
    "export TOKEN=%X%",
    'curl -H "Authorization: Bearer %X%" https://api.internal/v1/things',
    "config:\n  token: %X%\n  retries: %small%",
    '{"token": "%X%", "retries": %small%}',
    "%date% %time% DEBUG sending token=%X% to upstream",
    "%X%",
    "Why does it say 401?\n\n```\n%X%\n```\n",
]
_IN_PLACE = {
    "aws secret key": [
        "aws_secret_access_key = %X%",
        'AWS_SECRET_ACCESS_KEY="%X%"',
        "secretAccessKey: '%X%'",
        "export AWS_SECRET_ACCESS_KEY=%X%",
        '{"SecretAccessKey": "%X%"}',
    ],
    "azure storage": [
        "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=%X%;EndpointSuffix=core.windows.net",
        "az storage blob list --account-name shop --account-key %X%",
    ],
    "npm": [*_ANYWHERE, "//packages.internal/:_authToken=%X%"],
    "url password": [
        "postgres://app:%X%@db.internal:5432/shop",
        "git clone https://bot:%X%@git.acme-tools.io/team/app.git",
        'url = "amqp://worker:%X%@queue:5672/"',
        "connect with mongodb+srv://root:%X%@cluster0.mongodb.net/test?retryWrites=true please",
        "redis://:%X%@cache:6379/0",
    ],
    "assignment": [
        "password=%X%",
        'password = "%X%"',
        "DB_PASSWORD=%X%",
        'api_key: "%X%"',
        '{"user": "app", "password": "%X%"}',
        "mysql:\n  user: app\n  password: %X%\n  port: 3306",
        "client_secret='%X%'",
        "My password is: password: %X%",
        "const apiKey = '%X%';",
        "spring.datasource.password=%X%",
    ],
}


def _jwt(random: Random) -> str:
    def part(content: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    claims = {"sub": digits(random, "^#######"), "iat": random.randint(1_600_000_000, 1_800_000_000)}
    signature = base64.urlsafe_b64encode(random.randbytes(32)).decode().rstrip("=")
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{signature}"


def _pem(random: Random) -> str:
    kind = random.choice(["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"])
    body = base64.b64encode(random.randbytes(random.randint(120, 600))).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])


def _openai(random: Random) -> str:
    return random.choice(
        [
            f"sk-{chars(random, ALNUM, 20)}T3BlbkFJ{chars(random, ALNUM, 20)}",
            f"sk-proj-{chars(random, URL_SAFE, 74)}T3BlbkFJ{chars(random, URL_SAFE, 74)}",
            f"sk-ant-api03-{chars(random, URL_SAFE, 93)}AA",
            f"sk-or-v1-{chars(random, HEX, 64)}",
        ]
    )


def _discord(random: Random) -> str:
    user = base64.urlsafe_b64encode(digits(random, "^#################").encode()).decode().rstrip("=")
    return f"{user}.{chars(random, URL_SAFE, 6)}.{chars(random, URL_SAFE, 38)}"


def _password(random: Random) -> str:
    """Sixteen characters at most, as people choose them: a word with signs, or random."""
    word = random.choice(["Sunflower", "correcthorse", "Winter", "dragon", "Mcfly"])
    return random.choice(
        [f"{word}{random.randint(10, 9999)}!", f"{chars(random, ALNUM, 12)}", f"{word}#{chars(random, ALNUM, 4)}"]
    )


# What a vendor gives out, by format; the last two are told by what stands around them.
SECRETS: dict[str, Callable[[Random], str]] = {
    "aws access key id": lambda r: r.choice(["AKIA", "ASIA"]) + chars(r, string.ascii_uppercase + "234567", 16),
    "aws secret key": lambda r: chars(r, ALNUM + "/+", 40),
    "github classic": lambda r: r.choice(["ghp_", "gho_", "ghs_"]) + chars(r, ALNUM, 36),
    "github fine-grained": lambda r: f"github_pat_{chars(r, ALNUM, 22)}_{chars(r, ALNUM, 59)}",
    "gitlab": lambda r: "glpat-" + chars(r, URL_SAFE, 20),
    "slack token": lambda r: digits(r, "xoxb-^###########-^###########-") + chars(r, ALNUM, 24),
    "slack webhook": lambda r: (
        f"https://hooks.slack.com/services/T{chars(r, ALNUM.upper(), 8)}/B{chars(r, ALNUM.upper(), 10)}/"
        + chars(r, ALNUM, 24)
    ),
    "stripe": lambda r: r.choice(["sk_live_", "rk_live_", "sk_test_"]) + chars(r, ALNUM, r.choice([24, 99])),
    "google": lambda r: "AIza" + chars(r, URL_SAFE, 35),
    "openai style": _openai,
    "private key": _pem,
    "jwt": _jwt,
    "telegram bot": lambda r: digits(r, r.choice(["^########", "^#########"])) + ":AA" + chars(r, URL_SAFE, 33),
    "discord bot": _discord,
    "npm": lambda r: "npm_" + chars(r, ALNUM, 36),
    "azure storage": lambda r: base64.b64encode(r.randbytes(64)).decode(),
    "url password": lambda r: _password(r).replace("#", "%23"),
    "assignment": _password,
}


def texts(seed: int, each: int = 100) -> list[Labelled]:
    """`each` texts of every format, with one secret each."""
    random, made = Random(seed), []
    for about, maker in SECRETS.items():
        templates = _IN_PLACE.get(about, _ANYWHERE)
        for _ in range(each):
            value = maker(random)
            before, after = (fill(random, part, "").text for part in random.choice(templates).split("%X%"))
            span = Span(len(before), len(before) + len(value), "SECRET")
            made.append(Labelled(before + value + after, (span,), about))
    return made
