"""Moves `loras/current` and the engine together, for a promotion and for a return."""

import time
from typing import Any

from pipeline.backends.engines import proof as proofs
from pipeline.backends.engines.interface import EngineError, Fingerprint
from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import generations
from pipeline.lib.errors import NightschoolError
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

    The link moves first: whatever happens to the engine, its next start serves the target.

    Args:
        client: the gateway, which may be the one that has just died.
        layout: where the generations are.
        target: what shall serve.
        reason: for the summary and the ledger.
        run: who does it.
        fingerprint: proves the return; none: only hashes are compared.
        numbers: what was measured, for the summary.

    Returns: the summary; `proven` is false when the engine could not be asked or answered with something else.
    """
    failed = generations.incumbent(layout)
    swap(layout, target, f"rolled back: {reason}", run)
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
    try:
        client.load(target.id)
        client.activate(target.id)
        summary["proof"] = _prove_return(client, target, fingerprint)
        summary["proven"] = True
        if failed.id not in (target.id, generations.BASE) and client.drain(failed.id, _DRAIN_SECONDS):
            client.unload(failed.id)
    except NightschoolError as error:
        logger.error("the return to %s is not proven: %s", target.id, error)
        summary["engine_error"] = str(error)
    for folder in {target.folder, failed.folder}:
        write_json(folder / SUMMARY, summary)
    return summary


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
