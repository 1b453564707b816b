"""doctor: everything a night needs, each finding with a hint.

reads   the base model, the disk, the memory of GPUs, the running gateway, the other models of the settings,
        whether code can be run in a sandbox
"""

import shutil
from pathlib import Path
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.engines.interface import EngineError
from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.notifiers import choice
from pipeline.backends.providers.health import ask_all
from pipeline.backends.providers.registry import known
from pipeline.backends.sandboxes import choice as sandbox
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.lib import questions
from pipeline.lib.accelerators import free_memory
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, ConfigurationError
from pipeline.lib.files import require_disk


def doctor(settings: Settings) -> dict[str, Any]:
    """Look at everything; the first problem is raised with its own exit code.

    Raises:
        DiskError: too little space.
        ConfigurationError: no base model, or the gateway serves another one.
        UnavailableError: no gateway.
        BadRecordError: the canary tasks or the hold-out cannot be used.
        SandboxError: questions of the user's own need a sandbox, and none works here.
        EngineError: the engine answers with another version than it should, or has no room for a second one.
    """
    base = base_sha256(settings.base_folder)
    version = _version_gb(settings)
    require_disk(settings.home, settings.night.minimum_disk_gb + version)
    memory = free_memory()
    if memory and sum(memory) < version:
        raise EngineError(
            f"{sum(memory):.1f} GB free on the GPUs, {version:.1f} GB needed for a second version on "
            f"{settings.engine.kind}",
            "unload what nobody uses, or take a smaller or quantized base",
        )
    health = GatewayClient(settings, timeout=10).health()
    if health["base_sha256"] != base:
        raise ConfigurationError(
            f"the gateway serves another base model than {settings.model.base}", "restart `nightschool serve`"
        )
    check = health["last_check"]
    if check.get("proven") is False:
        raise EngineError(
            f"{check['version']} should be in service on {health['engine']}, but something else answers: {check}",
            "restart the engine, then `nightschool serve`",
        )
    return {
        "disk_free_gb": round(shutil.disk_usage(settings.home).free / 1e9, 1),
        "gpu_free_gb": round(sum(memory), 1) if memory else "no GPU",
        "base_sha256": base,
        "engine": health["engine"],
        "serving": health["adapter"],
        "adapter_sha256": health["adapter_sha256"],
        "exam": _exam(settings),
        "sandbox": sandbox_found(settings),
        "told": ", ".join(choice.configured(settings.notify)) or "nobody",
        **_models(settings),
    }


def sandbox_found(settings: Settings) -> str:
    """The mechanism that works, or why there is none.

    Raises:
        SandboxError: there is none, and the user's own questions need one tonight.
    """
    problem = sandbox.problem()
    if problem is None:
        return settings.sandbox.mechanism
    asked = [*questions.read_canary(settings), *questions.read_holdout(settings)]
    if count := sum(checks.obstacle(row["check"]) is not None for row in asked):
        raise SandboxError(f"{count} canary tasks and hold-out questions execute code, but {problem}", problem.hint)
    return f"none, checks of type python wait: {problem} ({problem.hint})"


def _exam(settings: Settings) -> str:
    """What a candidate will be asked, and whether the user has a say in it."""
    tasks, held_out = list(questions.read_canary(settings)), list(questions.read_holdout(settings))
    for row in (*tasks, *held_out, *questions.read_rehearsal(settings)):
        _require_usable(row)
    told = f"{len(tasks)} canary tasks, {len(held_out)} held-out questions"
    if questions.canary_file(settings) is None:
        told += f": nobody has said what this model must be able to do, see {questions.OWN_CANARY} in docs/formats.md"
    return told


def _require_usable(row: dict[str, Any]) -> None:
    """Better now than after a night's training."""
    if row["check"].get("type") == questions.JUDGED:
        return
    try:
        checks.validate(row["check"], plugins=True)
    except ValueError as error:
        asked = row["messages"][-1]["content"]
        raise BadRecordError(f"the question {asked[:60]!r} cannot be asked: {error}", "mend its check") from error


def _models(settings: Settings) -> dict[str, str]:
    """One line for each other model; a night goes on without them where another one takes over."""
    others = [each for each in known(settings) if each.kind != "embedded"]
    wrong = ask_all(settings, others)
    return {f"model {each.name}": wrong[each.name] or "healthy" for each in others}


def _version_gb(settings: Settings) -> float:
    """What one more version takes where each has a copy of the base, in gigabytes (10⁹ bytes); else next to nothing."""
    engine = settings.engine
    if engine.kind == "llama-server" or (engine.kind, engine.ollama_mode) == ("ollama", "merged"):
        return sum(path.stat().st_size for path in Path(settings.base_folder).glob("*.safetensors")) / 1e9
    return 0.0
