"""Who answers now: all models are asked at once, and what they say is remembered."""

import os
import threading
import time
from collections.abc import Collection

from pipeline.backends.providers.choice import UNHEALTHY, remembered
from pipeline.backends.providers.facts import read
from pipeline.backends.providers.interface import HEALTH_SECONDS, CountingProvider
from pipeline.backends.providers.registry import Model, provider_of
from pipeline.lib.config import Settings

_PATIENCE = 2 * HEALTH_SECONDS  # for all of them together: a server may also drip


def ask_all(settings: Settings, models: Collection[Model]) -> dict[str, str | None]:
    """For each name what is wrong with the model now; none: it is healthy."""
    said: dict[str, bool] = {}
    providers = {each.name: provider_of(settings, each) for each in models}
    threads = [threading.Thread(target=_ask, args=(*each, said), daemon=True) for each in providers.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + _PATIENCE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    found = {each.name: None if said.get(each.name) else _trouble(each) for each in models}
    facts = read(settings.layout)
    for each in models:
        # An answer to this question makes up for none to an earlier one, but not for a chat that failed.
        if found[each.name] or (each.key in facts and facts[each.key].last_error == UNHEALTHY):
            remembered(settings.layout, each.key, UNHEALTHY if found[each.name] else None)
    return found


def _ask(name: str, provider: CountingProvider, said: dict[str, bool]) -> None:
    said[name] = provider.healthy()
    provider.close()


def _trouble(model: Model) -> str:
    if model.key_variable and model.key_variable not in os.environ:
        return f"{UNHEALTHY}; {model.key_variable} is not set"
    return UNHEALTHY
