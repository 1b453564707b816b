"""What the sections have in common, and the kinds of values that settings have."""

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
)


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def split(value: Any) -> Any:
    """The environment and flags give one text: items separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def is_this_machine(host: str) -> bool:
    """Whether what is sent to a host stays here."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_domain(name: str) -> bool:
    """Whether mail can be sent there, as far as its form goes."""
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def _percent(value: Any) -> Any:
    """5% is 0.05."""
    return float(value[:-1]) / 100 if isinstance(value, str) and value[:-1].isdecimal() and value[-1] == "%" else value


def _seconds(value: Any) -> Any:
    """90s, 30m, 1h and 1d are seconds too."""
    if isinstance(value, str) and value[-1:] in _UNITS and value[:-1].replace(".", "", 1).isdecimal():
        return float(value[:-1]) * _UNITS[value[-1]]
    return value


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Share = Annotated[float, BeforeValidator(_percent)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(allow_inf_nan=False)]
Listed = Annotated[list[str], BeforeValidator(split)]
# Never shown: not in an error, a log, a page, or by `config show`.
Secret = Annotated[SecretStr, PlainSerializer(lambda secret: "(set)" if secret else "", return_type=str)]
Range = Annotated[list[Share], BeforeValidator(split), Field(min_length=2, max_length=2)]
Kept = Literal["SECRET", "EMAIL", "PHONE", "CARD", "IBAN", "WALLET", "IP", "MAC", "ID", "PERSON", "PLACE"]
Capability = Literal[
    "code_generation", "error_analysis", "instruction_following", "reasoning", "long_context", "fast_inference"
]
Event = Literal[
    "trained",
    "deployed",
    "refused",
    "inconclusive",
    "awaiting-approval",
    "rolled-back",
    "failed",
    "server-differs",
    "nothing-to-do",
]
Category = Literal["functionality", "quality", "instruction_following", "safety", "performance"]
