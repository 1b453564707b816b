"""Finds secrets in a text: keys, tokens, passwords.

Formats that vendors define come from detect-secrets. Its own scanning works on files, line by line, and often yields
only part of a match (`ghp` of a GitHub token); here its expressions are run over the text, and what they match is
widened to the whole token. Formats that it lacks, or knows in an older form, and assignments stand below.
"""

import re
from collections.abc import Iterator
from importlib import import_module

from pipeline.hygiene.spans import Found

# module:Class of detect-secrets → texts of which one must stand in a text before its expressions are run.
_PLUGINS = {
    "artifactory:ArtifactoryDetector": ("AKC", "AP"),
    "aws:AWSKeyDetector": ("AKIA", "ASIA", "ABIA", "ACCA", "A3T", "aws", "AWS"),
    "azure_storage_key:AzureStorageKeyDetector": ("AccountKey=",),
    "cloudant:CloudantDetector": ("cloudant",),
    "discord:DiscordBotTokenDetector": (".",),
    "github_token:GitHubTokenDetector": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    "gitlab_token:GitLabTokenDetector": ("gl", "GR1348941"),
    "ibm_cloud_iam:IbmCloudIamDetector": ("ibm", "IBM"),
    "mailchimp:MailchimpDetector": ("-us",),
    "openai:OpenAIDetector": ("T3BlbkFJ",),
    "pypi_token:PypiTokenDetector": ("pypi-",),
    "sendgrid:SendGridDetector": ("SG.",),
    "slack:SlackDetector": ("xox", "hooks.slack.com"),
    "softlayer:SoftlayerDetector": ("softlayer",),
    "square_oauth:SquareOAuthDetector": ("sq0csp-",),
    "stripe:StripeDetector": ("k_live_",),
    "telegram_token:TelegramBotTokenDetector": (":",),
    "twilio:TwilioKeyDetector": ("AC", "SK"),
}
_LONG_GROUP = 20  # a group so long is the secret itself, a shorter one only a part of it

# Forty characters say little, but beside an access key id they are its secret.
_FORTY = r"(?<![\w/+=-])(?=[\w/+]{0,39}[A-Z])(?=[\w/+]{0,39}[g-z])[A-Za-z0-9/+]{40}(?![\w/+=-])"
# Formats that detect-secrets 1.5 lacks, or whose newer forms it does not know.
_FORMATS = {
    "github_pat_": r"github_pat_\w{22,}",
    "AIza": r"AIza[\w-]{35}",
    "sk-": r"(?<![\w-])sk-(?=[\w-]*\d)[\w-]{20,}",
    "k_live_": r"[srp]k_live_\w{16,}",
    "k_test_": r"[srp]k_test_\w{16,}",
    "whsec_": r"whsec_[\w+/=]{16,}",
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "hf_": r"(?<!\w)hf_[A-Za-z0-9]{30,}",
    "xapp-": r"xapp-\d-[\w-]{10,}",
    "xox": r"xox[a-z](?:\.xox[a-z])?-[\w-]{20,}",
    "eyJ": r"(?<![\w-])eyJ[\w=-]+\.[\w=-]+(?:\.[\w+/=-]*)*",  # theirs leaves the signature
    "_authToken": r"_authToken\s*=\s*([^\s\"'$<]{8,})",
    "/api/webhooks/": r"(?:discord|discordapp)\.com/api/webhooks/(\d+/[\w-]{20,})",
    "PRIVATE KEY": (
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:(?!-----BEGIN ).)*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        # Somebody cut the end off: all lines that may belong to it.
        r"|(?:(?:\s|\\n)+[A-Za-z0-9+/=]{16,})*(?:\n[A-Za-z0-9+/=]+(?=\n|\Z))?)"
    ),
    "AKIA": _FORTY,
    "aws_secret": _FORTY,
}
_HEADER = re.compile(r"(?i)\b(?:bearer|basic)\s+((?=[\w.~+/=-]*\d)[\w.~+/=-]{16,})")
_URL = re.compile(r"://[^\s:/?#@\"']*:([^\s/?#\"'<>]+)@")
_LOGIN = re.compile(r"\s(?:-u|--user)[ =][\"']?[\w.@-]+:((?=\S*[A-Za-z])[^\s\"']{4,})")  # of curl
_NAME = (
    r"(?:passwor[dt]|passwd|passphrase|passcode|(?<![a-z])pass|pwd|kennwort|contraseña|пароль|密码|mot[ _]de[ _]passe"
    r"|secret|token|credentials?|(?:api|access|account|auth|private|encryption|signing)[ _-]?key)"
)
# A name that means a secret, a sign of assignment, a value in quotes or without.
_ASSIGNED = re.compile(
    rf"(?i)(?P<name>{_NAME})(?:[_-]?(?:key|value|prod|production|dev|test|live|staging|\d+))?"
    r"(?:[\"'`\]]{0,2}\s*(?::=|=>|={1,3}|!={1,2}|[:：])\s*|\s+(?:is|was|ist|es|est)\s+:?\s*)"
    r"@?(?:\"(?P<double>[^\"\s]{4,})\"|'(?P<single>[^'\s]{4,})'|`(?P<back>[^`\s]{4,})`"
    # Commas and the like belong to it, unless they end it or a next `name=` follows.
    r"|(?P<bare>(?:[^\s\"'`,;&<>(){}\[\]|]|[,;&|](?=[^\s,;&|\"'])(?!\w+\s*[=:])){6,})(?![(\[]))"
)
_FLAG = re.compile(rf"(?i)--(?:[a-z]+-)*(?P<name>{_NAME})\s+(?P<bare>[^\s\"'`]{{6,}})")
_NAME_HINT = re.compile(rf"(?i){_NAME}")
_STANDS_FOR_NOTHING = re.compile(
    r"(?i)(?:passw(?:or)?d|pass|secret|token|string|changeme|none|null|true|false|required|optional|undefined|redacted"
    r"|hidden|unknown|missing|invalid|expired|incorrect|wrong|secretstr|varchar|integer|boolean|[<\[{]*(?:your|my[-_]"
    r"|example).*|(.)\1*)$"
)
_NAME_OF_A_SECRET = re.compile(rf"(?i)[a-z_]*{_NAME}(?:_[a-z_]+)?\d?$")
_REFERENCE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$|.*://")  # a member, or an address where it lies
_TO_THE_END = re.compile(r"[ \t]*\r?$", re.MULTILINE)
_DIGIT_OR_SIGN = re.compile(r"\d|.[!#$%^*+?@~].")
_REST = re.compile(r"(?<=[\w.-])[\w-]+")


class Credentials:
    """Made once (it imports detect-secrets); then used from any number of threads."""

    def __init__(self) -> None:
        from detect_secrets.filters import heuristic

        self._expressions: list[tuple[tuple[str, ...], re.Pattern[str]]] = []
        for path, needles in _PLUGINS.items():
            module, _, name = path.partition(":")
            plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)
            self._expressions += [(needles, expression) for expression in plugin.denylist]
        self._expressions += [((needle,), re.compile(form, re.DOTALL)) for needle, form in _FORMATS.items()]
        self._not_a_value = (heuristic.is_templated_secret, heuristic.is_prefixed_with_dollar_sign)
        self._without_letters = heuristic.is_not_alphanumeric_string

    def find(self, text: str) -> Iterator[Found]:
        """All secrets; some may overlap."""
        for needles, expression in self._expressions:
            if any(needle in text for needle in needles):
                for match in expression.finditer(text):
                    yield _whole(match)
        lowered = text.lower()
        if "://" in text:
            yield from self._values(_URL, text)
        if "curl" in lowered:
            yield from self._values(_LOGIN, text)
        if "bearer" in lowered or "basic" in lowered:
            yield from self._values(_HEADER, text)
        if _NAME_HINT.search(text):
            yield from self._assigned(text)

    def _values(self, expression: re.Pattern[str], text: str) -> Iterator[Found]:
        for match in expression.finditer(text):
            if self._is_value(match[1]):
                yield Found(match.start(1), match.end(1), "SECRET")

    def _assigned(self, text: str) -> Iterator[Found]:
        for expression in (_ASSIGNED, _FLAG):
            for match in expression.finditer(text):
                groups = match.groupdict()
                name = groups.pop("name")
                kind, value = next((kind, value) for kind, value in groups.items() if value)
                value = value.rstrip(".,") if kind == "bare" else value
                start = match.start(kind)
                if self._is_value(value) and (kind != "bare" or self._is_bare_value(name, value, _fills(match, start))):
                    yield Found(start, start + len(value), "SECRET")

    def _is_value(self, value: str) -> bool:
        """Not a stand-in such as `password`, `${PASSWORD}`, `<your-key>`, `****`."""
        return (
            not _STANDS_FOR_NOTHING.match(value)
            and not _NAME_OF_A_SECRET.match(value)
            and not any(test(value) for test in self._not_a_value)
        )

    def _is_bare_value(self, name: str, value: str, fills_line: bool) -> bool:
        """Without quotes words and names of variables stand there too.

        Of letters only, a value counts where it fills the rest of a line, as in a file of settings.
        """
        if _REFERENCE.match(value):
            return False
        if self._without_letters(value):
            return name.lower().startswith(("pass", "pwd")) and value.isdecimal()
        return fills_line or bool(_DIGIT_OR_SIGN.search(value))


def _fills(match: re.Match[str], start: int) -> bool:
    """As in a file of settings: `name=value` or `name: value`, and nothing behind it in its line."""
    sign = match.string[max(0, start - 2) : start]
    return sign.endswith(("=", ":", ": ")) and bool(_TO_THE_END.match(match.string, match.end()))


def _whole(match: re.Match[str]) -> Found:
    """The secret of a match, widened to the right to the whole token, so that no half of it stays."""
    longest = max(range(1, match.re.groups + 1), key=lambda group: len(match[group] or ""), default=0)
    start, end = match.span(longest if longest and len(match[longest] or "") >= _LONG_GROUP else 0)
    if match.string.startswith("AccountKey=", start):
        start += len("AccountKey=")
    rest = _REST.match(match.string, end)
    return Found(start, rest.end() if rest else end, "SECRET")
