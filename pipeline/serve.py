"""serve: the gateway, in the foreground until it is told to stop.

reads   the base model, `loras/current`
writes  `logs/interactions/YYYY-MM-DD.jsonl`, `logs/metrics.sqlite`, `logs/control.token`,
        `logs/server.json` (where it listens)
"""

import os
import secrets
import signal

import uvicorn

from pipeline.backends.engines import choice
from pipeline.gateway.app import Gateway
from pipeline.gateway.interaction_log import InteractionLog
from pipeline.gateway.self_check import SelfCheck
from pipeline.gateway.traffic import Traffic
from pipeline.lib import generations, lineage, questions
from pipeline.lib.config import Settings
from pipeline.lib.doors import listen
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.files import locked, write_json
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.records import Message
from pipeline.metrics.store import MetricsStore

_LARGEST_POOL = 8  # hold-out questions among which fingerprint probes are looked for
_DEFAULT_PROBES = (
    "Hello!",
    "What can you do for me?",
    "Write one sentence about the sea.",
    "Count from one to ten.",
)


def serve(settings: Settings) -> None:
    """Open the gateway and stay until SIGINT or SIGTERM; running answers are finished and logged first.

    Raises:
        BusyError: the port, or this home, is taken by another gateway.
        ConfigurationError: the base model is missing, or `loras/current` belongs to another.
    """
    layout = settings.layout
    with locked(layout.lock("serve"), "a gateway for this home"):
        door = listen(settings.server.host, settings.server.port, "set server.port")
        base = lineage.require_current_base(settings)
        engine = choice.start(settings, _probe_pool(settings))
        incumbent = generations.incumbent(layout)
        if incumbent.id != generations.BASE:
            engine.load(incumbent.id)
            engine.activate(incumbent.id)
        log = InteractionLog(layout.interactions)
        check, store = SelfCheck(settings, engine), MetricsStore.of(settings)
        gateway = Gateway(settings, engine, log, Traffic(), base, _token(layout), check, store=store)
        host, port = door.getsockname()[:2]
        write_json(layout.logs / "server.json", {"url": f"http://{host}:{port}", "pid": os.getpid()})
        logger.info("serving %s on http://%s:%d", incumbent.id, host, port)
        config = uvicorn.Config(gateway.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=30)
        # uvicorn stops gracefully, then raises SIGTERM once more: for us a stop that was asked for is a good end.
        signal.signal(signal.SIGTERM, lambda *_: None)
        uvicorn.Server(config).run(sockets=[door])


def _token(layout: Layout) -> str:
    """The control token; made once, readable by the owner only."""
    path = layout.control_token
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii").strip()


def _probe_pool(settings: Settings) -> list[list[Message]]:
    """Questions to fingerprint versions with: from the hold-out, spread evenly, or plain ones where there is none."""
    try:
        rows = list(questions.read_holdout(settings))
    except ConfigurationError as error:  # for nights to complain of; people want their answers
        logger.warning("no questions of the hold-out to prove versions with: %s", error)
        rows = []
    step = max(1, len(rows) // _LARGEST_POOL)
    pool = [list(row["messages"]) for row in rows[::step]][:_LARGEST_POOL]
    return pool or [[{"role": "user", "content": text}] for text in _DEFAULT_PROBES]
