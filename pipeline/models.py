"""models: which models may be asked, how fast and how well they answer, and who is chosen for a task.

reads   [providers] of the settings, logs/models.json
writes  logs/models.json
"""

import asyncio
import time
from collections.abc import Collection
from typing import Any

from pipeline.backends.providers import facts as measured
from pipeline.backends.providers.choice import remembered
from pipeline.backends.providers.exam import examine
from pipeline.backends.providers.facts import Exam, Facts
from pipeline.backends.providers.health import ask_all
from pipeline.backends.providers.interface import ProviderError
from pipeline.backends.providers.registry import Model, Standing, known, named, provider_of, standings
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, UnavailableError
from pipeline.lib.text import without_logins


def models(settings: Settings) -> dict[str, Any]:
    """All of them, with what the settings say, whether they answer now, and what was measured."""
    entries = known(settings)
    wrong = ask_all(settings, entries)
    facts = measured.read(settings.layout)
    return {"models": [_described(each, facts.get(each.key, Facts()), wrong[each.name]) for each in entries]}


def test(settings: Settings, name: str | None, timeout: float) -> dict[str, Any]:
    """Examine one model, or all, one after the other; `timeout` is the most seconds for one answer.

    Raises:
        ConfigurationError: no model of that name.
        UnavailableError: none of them answers.
    """
    tested = [_tested(settings, each, timeout) for each in ([named(settings, name)] if name else known(settings))]
    errors = [each["error"] for each in tested if "error" in each]
    if len(errors) == len(tested):
        raise UnavailableError("; ".join(errors) or "no model is set", "`nightschool models list` says who is healthy")
    return {"models": tested}


def select(settings: Settings, needs: Collection[str]) -> dict[str, Any]:
    """Who would be asked first for something that needs these capabilities, who takes over, and why.

    Raises:
        UsageError: there is no such capability.
        ConfigurationError: no model in the settings has them all.
        UnavailableError: of those that have, none is healthy.
    """
    able = [each.model for each in standings(settings, needs)]
    if not able:
        raise ConfigurationError(
            f"no model in the settings can do {', '.join(needs) or 'anything: there is none'}",
            "give one the capability in [[providers.models]] of nightschool.toml; `nightschool models list` shows them",
        )
    wrong = ask_all(settings, able)
    if all(wrong.values()):
        raise UnavailableError(
            f"none is healthy: {', '.join(f'{each} ({said})' for each, said in wrong.items())}",
            "start one of their servers; `nightschool models list` shows where they are",
        )
    chain = standings(settings, needs)
    return {"needs": sorted(needs), "chain": [_placed(each, wrong[each.model.name]) for each in chain]}


def _described(model: Model, facts: Facts, wrong: str | None) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "model": model.model,
        "address": model.address,
        "capabilities": list(model.capabilities),
        "guessed": model.guessed,
        "context": model.context,
        "price_in": model.price_in,
        "price_out": model.price_out,
        "healthy": wrong is None,
        "tokens_per_second": facts.tokens_per_second,
        "latency": facts.latency,
        "last_success": facts.last_success,
        "last_error": wrong or facts.last_error,
        "last_error_at": facts.last_error_at,
        "failures": facts.failures,
        "last_test": _shown(facts.tests[-1]) if facts.tests else None,
    }


def _shown(exam: Exam) -> dict[str, Any]:
    return {"at": exam.at, "results": exam.results}


def _tested(settings: Settings, model: Model, timeout: float) -> dict[str, Any]:
    """Examine it and remember what came out."""
    try:
        exam = asyncio.run(_examined(settings, model, timeout))
    except ProviderError as error:
        remembered(settings.layout, model.key, str(error))
        return {"name": model.name, "error": without_logins(str(error))}
    measured.tested(settings.layout, model.key, exam)
    return {
        "name": model.name,
        "tokens_per_second": exam.tokens_per_second,
        "latency": exam.latency,
        "results": exam.results,
    }


async def _examined(settings: Settings, model: Model, timeout: float) -> Exam:
    provider = provider_of(settings, model)
    try:
        return await examine(provider, model, timeout)
    finally:
        await provider.close_async()
        provider.close()


def _placed(standing: Standing, wrong: str | None) -> dict[str, Any]:
    return {"name": standing.model.name, "model": standing.model.model, "why": _reasons(standing, wrong)}


def _reasons(standing: Standing, wrong: str | None) -> list[str]:
    facts, model = standing.facts, standing.model
    reasons = ["healthy" if wrong is None else wrong]
    if wrong is None and standing.resting:
        ago = time.time() - (facts.last_error_at or 0.0)
        reasons = [f"failed {ago:.0f} s ago ({facts.failures} in a row): {facts.last_error}"]
    reasons += [f"did not pass its last test of {each}" for each in standing.failing]
    if facts.tokens_per_second:
        reasons.append(f"{facts.tokens_per_second:.1f} tokens/s measured")
    else:
        reasons.append(f"{model.speed:g} tokens/s expected" if model.speed else "speed unknown")
    if model.guessed and model.capabilities:
        reasons.append("capabilities guessed from its name")
    return reasons
