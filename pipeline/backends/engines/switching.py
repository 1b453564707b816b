"""Moves `loras/current` and the engine together, for a promotion and for a return."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.backends.engines import proof as proofs
from pipeline.backends.engines.interface import EngineError, Fingerprint
from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import generations
from pipeline.lib.errors import DiskError, NightschoolError
from pipeline.lib.files import locked, write_json
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger

SUMMARY = "rollback_summary.json"
_DRAIN_SECONDS = 30.0


def promote(
    client: GatewayClient, layout: Layout, target: Generation, fingerprint: Fingerprint, run: str
) -> dict[str, Any]:
    """Make a loaded version current: the link, then the engine, then the proof.

    Raises:
        EngineError: the proof failed; the caller has to return.
        UnavailableError: the engine went away; likewise.
    """
    swap(layout, target, generations.PROMOTED, run)
    client.activate(target.id)
    found = proofs.require(client, target.id, fingerprint, target.sha256)
    return {name: proof.to_json() for name, proof in found.items()}


def give_back(
    client: GatewayClient,
    layout: Layout,
    target: Generation,
    reason: str,
    run: str,
    fingerprint: Fingerprint | None,
    numbers: dict[str, Any],
) -> dict[str, Any]:
    """Make an earlier generation current again, and write down why, from what, to what.

    The link moves first: whatever happens to the engine, its next start serves the target. A disk that is full holds
    nothing up: what failed must not go on serving because it cannot be written down.

    Args:
        client: the gateway, which may be the one that has just died.
        layout: where the generations are.
        target: what shall serve.
        reason: for the summary and the ledger.
        run: who does it.
        fingerprint: proves the return; none: only hashes are compared.
        numbers: what was measured, for the summary.

    Returns: the summary; `proven` is false when the engine could not be asked or answered with something else;
        `disk_error` says why the ledger or the summary could not be written.

    Raises:
        DiskError: the link could not be moved; the engine has been told to serve the target all the same.
    """
    failed = generations.incumbent(layout)
    summary: dict[str, Any] = {
        "at": time.time(),
        "run": run,
        "reason": reason,
        "from": failed.id,
        "from_sha256": failed.sha256,
        "to": target.id,
        "to_sha256": target.sha256,
        "numbers": numbers,
        "proven": False,
    }
    with _going_on(summary):
        swap(layout, target, f"rolled back: {reason}", run)
    summary |= _serve_again(client, target, failed, fingerprint)
    for folder in {target.folder, failed.folder}:
        with _going_on(summary):
            write_json(folder / SUMMARY, summary)
    if "disk_error" in summary and generations.incumbent(layout).id != target.id:
        raise DiskError(
            f"{layout.current} still names {failed.id}: {summary['disk_error']}",
            f"free some space, then `nightschool rollback --to {target.id}`",
        )
    return summary


def _serve_again(
    client: GatewayClient, target: Generation, failed: Generation, fingerprint: Fingerprint | None
) -> dict[str, Any]:
    """Have the engine serve the target, prove it, and unload what failed: what the summary says of that."""
    told: dict[str, Any] = {}
    try:
        client.load(target.id)
        client.activate(target.id)
        told["proof"] = _prove_return(client, target, fingerprint)
        told["proven"] = True
        if failed.id not in (target.id, generations.BASE) and client.drain(failed.id, _DRAIN_SECONDS):
            client.unload(failed.id)
    except NightschoolError as error:
        logger.error("the return to %s is not proven: %s", target.id, error)
        told["engine_error"] = str(error)
    return told


@contextmanager
def _going_on(summary: dict[str, Any]) -> Iterator[None]:
    """What the disk refuses is told in the summary, and the return goes on."""
    try:
        yield
    except (DiskError, OSError) as error:
        logger.error("%s", error)
        summary.setdefault("disk_error", str(error))


def _prove_return(client: GatewayClient, target: Generation, fingerprint: Fingerprint | None) -> dict[str, Any]:
    if fingerprint is not None and target.id in fingerprint.references:
        found = proofs.require(client, target.id, fingerprint, target.sha256)
        return {name: proof.to_json() for name, proof in found.items()}
    health = client.health()
    if (health["adapter"], health["adapter_sha256"]) != (target.id, target.sha256):
        raise EngineError(f"the server says that it serves {health['adapter']}")
    return {"health": {"adapter": health["adapter"], "adapter_sha256": health["adapter_sha256"]}}


def swap(layout: Layout, target: Generation, reason: str, run: str, base_sha256: str | None = None) -> None:
    """Move `loras/current`; two swaps never overlap."""
    with locked(layout.lock("swap"), "another swap of loras/current"):
        generations.make_current(layout, target, reason, run, base_sha256)
