"""deploy: a candidate with a `pass` → current, proven, watched.

reads   `loras/<candidate>/verdict.json`, `canary.jsonl`, `approval.json` and its files, pins, the ledger;
        talks to the running gateway
writes  `loras/current`, `logs/promotions.jsonl`, `loras/<candidate>/deployment.json`,
        when a person has to be asked first: only `loras/<candidate>/approval.json`,
        and when it had to return: `loras/current/rollback_summary.json`

The order: check files → snapshot → prepare (fingerprint) → load → prove under its own name → swap `loras/current` →
activate → prove through the public name → watch. The first thing that goes wrong brings the old version back.
"""

import random
import statistics
import time
from dataclasses import asdict
from typing import Any

from pipeline.backends.checks import run as checks
from pipeline.backends.engines import switching
from pipeline.backends.engines.interface import EngineError, Fingerprint
from pipeline.backends.engines.live_watch import LiveWatch
from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.trainers import adapter_files
from pipeline.gate.monitor import Finding, Limits
from pipeline.lib import generations, harvests, jsonl, lineage, permission, pins, questions
from pipeline.lib.config import Settings
from pipeline.lib.errors import DiskError, NightschoolError, NothingToDo, Refused, RolledBack
from pipeline.lib.files import write_json
from pipeline.lib.generations import DEPLOYMENT, Generation
from pipeline.lib.logs import logger

_DRAIN_SECONDS = 30.0
_OVERTIME = 60.0  # seconds that a watch may take beyond its time, for probes that are still missing


def deploy(settings: Settings, candidate_id: str | None, run: str, dry_run: bool) -> dict[str, Any]:
    """Promote a candidate.

    Args:
        settings: thresholds and length of the watch.
        candidate_id: the generation; none: `loras/latest`.
        run: who does it, for the ledger.
        dry_run: only check the verdict, the files and the permission.

    Raises:
        Refused, Inconclusive: no verdict, or one that is not `pass`; a pin or a person does not let it; what it was
            trained on has been revoked since; it failed on its share of live traffic.
        AwaitingApproval: it passed, and a person has to approve it first.
        ConfigurationError: candidate or incumbent belongs to another base model.
        NothingToDo: it is current already.
        RolledBack: it was deployed, failed, and the previous version serves again.
        DiskError: likewise, but `loras/current` could not be moved back.
        EngineError, UnavailableError: it never got as far as serving; nothing has changed.
    """
    layout = settings.layout
    candidate = generations.read(layout, candidate_id or "latest")
    previous = generations.incumbent(layout)
    if candidate.id == previous.id:
        raise NothingToDo(f"{candidate.id} is current already")
    lineage.require_same_base(candidate, lineage.require_current_base(settings), settings)
    verdict = _require_permission(settings, candidate, previous, dry_run)
    if dry_run:
        return {"dry_run": True, "from": previous.id, "to": candidate.id, "verdict": verdict["reason"]}

    client = GatewayClient(settings)
    before = client.window(previous.id, 0)
    fingerprint = _prove_under_own_name(client, candidate)
    if settings.deploy.candidate_share:
        _try_on_a_share(settings, client, candidate, before)
    record: dict[str, Any] = {
        "from": previous.id,
        "from_sha256": previous.sha256,
        "to": candidate.id,
        "sha256": candidate.sha256,
        "at": time.time(),
        "fingerprint": fingerprint.to_json(),
        "before": {key: before[key] for key in ("requests", "errors", "outcomes", "successes")},
    }
    try:
        record["proof"] = switching.promote(client, layout, candidate, fingerprint, run)
        finding, numbers = _watch(settings, client, candidate, before)
    except (NightschoolError, OSError) as error:
        finding, numbers = Finding("failing", str(error)), {}
    record |= {"watch": {**asdict(finding), **numbers}}
    if finding.health != "healthy":
        summary = switching.give_back(client, layout, previous, finding.reason, run, fingerprint, numbers)
        _write_down(candidate, record)
        raise _rolled_back(candidate, summary, f"see {layout.current / switching.SUMMARY}")
    _write_down(candidate, record)
    _forget_older(client, {candidate.id, previous.id})
    return {key: record[key] for key in ("from", "to", "sha256", "proof", "watch")}


def _write_down(candidate: Generation, record: dict[str, Any]) -> None:
    """What became of the deployment. What serves is decided by now: a full disk changes nothing of it."""
    try:
        write_json(candidate.folder / DEPLOYMENT, record)
    except DiskError as error:
        logger.error("the deployment is not written down: %s", error)


def _rolled_back(candidate: Generation, summary: dict[str, Any], hint: str) -> RolledBack:
    """The ending after a return."""
    state = "proven" if summary["proven"] else "NOT proven, look at the server"
    unwritten = f"; not all is written down: {summary['disk_error']}" if "disk_error" in summary else ""
    return RolledBack(
        f"{candidate.id} was rolled back to {summary['to']} ({state}): {summary['reason']}{unwritten}", hint
    )


def _prove_under_own_name(client: GatewayClient, candidate: Generation) -> Fingerprint:
    """Load the candidate beside the incumbent and compare its answers with those it was trained to give."""
    fingerprint = client.prepare(candidate.id)
    client.load(candidate.id)
    proof = client.verify(candidate.id, fingerprint)
    if not proof.holds:
        client.unload(candidate.id)
        raise EngineError(
            f"{candidate.id} does not answer as it was trained to: nearest {proof.nearest}, {proof.distances}",
            "nothing has changed; train again",
        )
    return fingerprint


def _require_permission(
    settings: Settings, candidate: Generation, previous: Generation, dry_run: bool
) -> dict[str, Any]:
    """The verdict, when nothing stands against the candidate: no pin, no damaged file, no person."""
    if previous.id in pins.pinned(settings.layout):
        raise Refused(
            f"{previous.id} is current and pinned: nothing is deployed over it",
            f"`nightschool versions unpin {previous.id}` allows it again",
        )
    permission.refuse_rejected(candidate)
    if gone := len(harvests.excluded(settings.layout) & candidate.interaction_ids):
        raise Refused(
            f"{candidate.id} was trained on what has been revoked or is in quarantine since ({gone} interactions)",
            "another night trains without it",
        )
    verdict = permission.require_pass(candidate, previous)
    candidate.verify_files()
    adapter_files.check(candidate.folder)
    if settings.deploy.approval:
        permission.require_approval(candidate, previous, settings.deploy.approval_hours, dry_run)
    return verdict


def _try_on_a_share(settings: Settings, client: GatewayClient, candidate: Generation, before: dict[str, Any]) -> None:
    """Watch it on a part of the traffic, while the incumbent has the rest and nothing has been swapped."""
    share = settings.deploy.candidate_share
    client.share(candidate.id, share, settings.deploy.monitor_duration + _OVERTIME)
    try:
        finding, _ = _watch(settings, client, candidate, before, candidate.id)
    finally:
        client.share(candidate.id, 0)
    if finding.health != "healthy":
        if client.drain(candidate.id, _DRAIN_SECONDS):
            client.unload(candidate.id)
        raise Refused(f"{candidate.id} on {share:.0%} of live traffic: {finding.reason}", "nothing was swapped")


def _watch(
    settings: Settings,
    client: GatewayClient,
    candidate: Generation,
    before: dict[str, Any],
    asked_as: str = "",
) -> tuple[Finding, dict[str, Any]]:
    probes = _probes(candidate)
    random.Random(candidate.id).shuffle(probes)
    limits = _limits(settings, probes, before)
    return LiveWatch(client, candidate.id, probes, limits, settings.deploy.monitor_duration, asked_as).run()


def _probes(candidate: Generation) -> list[dict[str, Any]]:
    """What the canary asked of candidate and incumbent, and can be asked again.

    Only on questions that the incumbent has answered is its own level known: a canary may stop before it has asked all.
    """
    return [
        row
        for row in jsonl.read(candidate.folder / "canary.jsonl")
        if row["incumbent"]["passed"] is not None and _executable(row)
    ]


def _executable(row: dict[str, Any]) -> bool:
    return row["check"].get("type") != questions.JUDGED and checks.obstacle(row["check"]) is None


def _limits(settings: Settings, probes: list[dict[str, Any]], before: dict[str, Any]) -> Limits:
    """The thresholds, and what the previous version reached: on these very probes or live, the lower one."""
    deploy = settings.deploy
    levels = [statistics.fmean(row["incumbent"]["passed"] for row in probes)] if probes else []
    if before["outcomes"] >= deploy.minimum_samples:
        levels.append(before["successes"] / before["outcomes"])
    enough = before["requests"] >= deploy.minimum_samples
    return Limits(
        deploy.rollback_threshold_success,
        deploy.rollback_threshold_latency,
        deploy.minimum_samples,
        min(levels, default=None),
        statistics.median(before["latencies_ms"]) if enough and before["latencies_ms"] else None,
        statistics.median(before["first_token_ms"]) if enough and before["first_token_ms"] else None,
        before["errors"] / before["requests"] if enough else 0.0,
        deploy.latency_ratio,
    )


def _forget_older(client: GatewayClient, kept: set[str]) -> None:
    """N−1 stays loaded, for a rollback in no time; older versions leave the memory."""
    for version in set(client.versions()) - kept - {generations.BASE}:
        if client.drain(version, _DRAIN_SECONDS):
            client.unload(version)
