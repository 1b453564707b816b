"""doctor: everything a night needs, each finding with a hint.

reads   the base model, the disk, the running gateway
"""

import shutil
from typing import Any

from pipeline.backends.engines.interface import EngineError
from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.files import require_disk


def doctor(settings: Settings) -> dict[str, Any]:
    """Look at everything; the first problem is raised with its own exit code.

    Raises:
        DiskError: too little space.
        ConfigurationError: no base model, or the gateway serves another one.
        UnavailableError: no gateway.
        EngineError: the engine answers with another version than it should.
    """
    require_disk(settings.home, settings.night.minimum_disk_gb)
    base = base_sha256(settings.base_folder)
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
        "base_sha256": base,
        "engine": health["engine"],
        "serving": health["adapter"],
        "adapter_sha256": health["adapter_sha256"],
        "webhook": "set" if settings.notify.webhook else "not set",
    }
