"""Which models there are, what they can do, and in which order they are asked.

A model is a `[[providers.models]]` of the settings, or one of the three that `providers.order` names. What was
measured of it is in `pipeline.backends.providers.facts`. Nothing here asks a server.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

from pipeline.backends.gateway_client import address
from pipeline.backends.providers import facts as measured
from pipeline.backends.providers.facts import Facts
from pipeline.backends.providers.guesses import guessed
from pipeline.backends.providers.interface import CountingProvider
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, UsageError
from pipeline.lib.sections import Capability, ProviderModel
from pipeline.lib.text import without_logins

CAPABILITIES: tuple[str, ...] = get_args(Capability)
_KEY = "NIGHTSCHOOL_PROVIDER_KEY"  # the environment variable with the key of `providers.openai_url`


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the registry. Prices are for a million tokens, `context` is in tokens, `speed` in tokens/s.

    `guessed` says that the capabilities come from the model's name; `speed` is what the settings expect. `url` may
    hold a password, `address` does not.
    """

    name: str
    kind: str
    url: str | None = field(repr=False)
    model: str
    capabilities: tuple[str, ...]
    guessed: bool = False
    context: int | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    key_variable: str | None = None
    speed: float | None = None

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return without_logins(self.url or "OLLAMA_HOST")

    @property
    def key(self) -> str:
        """Its name in the measured facts: another model under the same name begins anew."""
        place = "" if self.kind == "embedded" else f" at {self.address}"  # whose port may be another one each time
        return f"{self.name} = {self.kind}/{self.model}{place}"

    def can(self, needs: Collection[str]) -> bool:
        """Whether it has all these capabilities."""
        return set(needs) <= set(self.capabilities)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a model stands in a chain, and what put it there."""

    model: Model
    facts: Facts
    resting: bool  # it failed just now
    failing: tuple[str, ...]  # those of the needs whose last test it did not pass

    @property
    def speed(self) -> float:
        """Tokens per second: measured, else expected, else 0."""
        return self.facts.tokens_per_second or self.model.speed or 0.0


def known(settings: Settings) -> list[Model]:
    """All entries: those of `[[providers.models]]`, then those of `providers.order` that are set, in their order."""
    asked = settings.providers
    made = {
        "ollama": _model("ollama", "ollama", asked.ollama_url, asked.ollama_model),
        "openai": _model("openai", "openai", asked.openai_url, asked.openai_model if asked.openai_url else None, _KEY),
        "embedded": replace(
            _model("embedded", "embedded", address(settings), settings.model.name),
            capabilities=guessed(settings.model.base, None),  # what it is called in public says nothing
        ),
    }
    entries = [made[kind] for kind in dict.fromkeys(asked.order)]
    return [*(_entry(each) for each in asked.models), *(each for each in entries if each.model)]


def named(settings: Settings, name: str) -> Model:
    """The entry of that name.

    Raises:
        ConfigurationError: there is none.
    """
    models = {each.name: each for each in known(settings)}
    if name in models:
        return models[name]
    close = difflib.get_close_matches(name, models, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(models) or 'none'}"
    raise ConfigurationError(f"no model {name!r} in the settings", hint)


def provider_of(settings: Settings, model: Model) -> CountingProvider:
    """Its provider, with the time-out and attempts of the settings; nothing is asked yet.

    Raises:
        ConfigurationError: its address or its key is none.
    """
    try:
        return _provider_of(settings, model)
    except ValueError as error:
        raise ConfigurationError(
            f"the address of model {model.name} cannot be used: {error}", "see [providers] in nightschool.toml"
        ) from error


def _provider_of(settings: Settings, model: Model) -> CountingProvider:
    timeout, attempts = settings.providers.timeout, settings.providers.attempts
    if model.kind == "ollama":
        from pipeline.backends.providers.ollama import OllamaProvider

        return OllamaProvider(model.url, model.model, timeout, attempts, model.context, model.key_variable)
    from pipeline.backends.providers.openai import OpenAiProvider

    assert model.url is not None
    # The gateway has the embedded model; what Nightschool itself asks it is nobody's question to learn from.
    headers = {"x-nightschool-purpose": "provider"} if model.kind == "embedded" else None
    return OpenAiProvider(model.url, model.model, timeout, attempts, model.kind, headers, model.key_variable)


def chosen(settings: Settings, needs: Collection[str], exclude: Collection[str] = ()) -> list[Model]:
    """The models with all these capabilities, the best first; empty when no entry has them.

    Args:
        settings: the settings.
        needs: capabilities, see CAPABILITIES; none: every model will do.
        exclude: names of entries that are left out.

    Raises:
        UsageError: there is no such capability.
    """
    return [each.model for each in standings(settings, needs, exclude)]


def standings(settings: Settings, needs: Collection[str], exclude: Collection[str] = ()) -> list[Standing]:
    """As `chosen`, with the reasons."""
    for each in needs:
        if each not in CAPABILITIES:
            close = difflib.get_close_matches(each, CAPABILITIES, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(CAPABILITIES)}"
            raise UsageError(f"no capability {each!r}", hint)
    able = [each for each in known(settings) if each.can(needs) and each.name not in exclude]
    return in_order(able, measured.read(settings.layout), needs)


def in_order(models: Collection[Model], facts: Mapping[str, Facts], needs: Collection[str]) -> list[Standing]:
    """Those that failed just now last; before them those that failed a test of what is needed; then by speed.

    Of equals the earlier one stays before the later one.
    """
    found = []
    for model in models:
        of_it = facts.get(model.key, Facts())
        failing = tuple(sorted(each for each in set(needs) if of_it.passed(each) is False))
        found.append(Standing(model, of_it, of_it.resting(), failing))
    return sorted(found, key=lambda each: (each.resting, len(each.failing), -each.speed))


def _model(name: str, kind: str, url: str | None, model: str | None, key_variable: str | None = None) -> Model:
    return Model(name, kind, url, model or "", guessed(model or "", None), True, key_variable=key_variable)


def _entry(written: ProviderModel) -> Model:
    said = written.capabilities
    return Model(
        name=written.name,
        kind=written.kind,
        url=written.url,
        model=written.model,
        capabilities=guessed(written.model, written.context) if said is None else tuple(sorted(set(said))),
        guessed=said is None,
        context=written.context,
        price_in=written.price_in,
        price_out=written.price_out,
        key_variable=written.key_variable,
        speed=written.speed,
    )
