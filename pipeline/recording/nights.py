"""A night as one row, from what it has left on the disk.

reads   `logs/runs.jsonl`, `logs/promotions.jsonl`, of the night's last generation: manifest, verdict, approval
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pipeline.lib import generations, jsonl, permission, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import ExitCode
from pipeline.lib.generations import BASE, MANIFEST, Generation
from pipeline.lib.layout import Layout, is_run
from pipeline.metrics.evolutions import calculate_efficiency
from pipeline.metrics.rows import EvolutionMetric, Status

STAGES = ("harvest", "build-dataset", "train", "canary", "deploy")

_ROUND = ("harvest", "build-dataset", "train")  # what is played again in a further round
_ROLLED_BACK = "rolled back"  # how the ledger's reason for a return begins
_VERDICTS: dict[str, Status] = {"fail": "refused", "inconclusive": "inconclusive"}


def evolution_of(settings: Settings, night: str) -> EvolutionMetric | None:
    """The row of a night (`runs.night_of` of its rounds); none: nothing of it is left, or only a mistyped command.

    It is the same whoever asks, and as often as one asks: later stages only leave more to read.
    """
    return _row(settings, night, runs.of_night(settings.layout, night))


def evolutions(settings: Settings) -> Iterator[EvolutionMetric]:
    """The rows of all nights that have left anything, the oldest first."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in jsonl.read(settings.layout.runs):
        lines.setdefault(runs.night_of(line["run"]), []).append(line)
    trained = [each.id for each in generations.all_complete(settings.layout)]
    for night in sorted({runs.night_of(each) for each in trained if is_run(each)} | set(lines)):
        if row := _row(settings, night, lines.get(night, [])):
            yield row


def _row(settings: Settings, night: str, ran: list[dict[str, Any]]) -> EvolutionMetric | None:
    layout = settings.layout
    # A command line that made no sense was no attempt.
    lines = [each for each in ran if each["stage"] in STAGES and each["exit_code"] != ExitCode.USAGE]
    generation = generation_of(layout, night)
    if not lines and generation is None:
        return None
    identity = generation.id if generation else _pruned(lines)
    manifest = generation.manifest if generation else {}
    decisive = [each for each in lines if not _in_vain(each, identity)]
    before, after = performances(verdict_of(generation))
    improvement = None if before is None or after is None else after - before
    seconds = float(sum(each["seconds"] for each in lines))
    return EvolutionMetric(
        agent=settings.model.name,
        run=night,
        evolution_type=str(manifest.get("config", {}).get("method", settings.train.method)),
        status=_status(layout, identity, generation, decisive),
        started_at=min((float(each["at"]) for each in lines), default=_begun(night)),
        seconds=seconds,
        generation=identity,
        performance_before=before,
        performance_after=after,
        improvement=improvement,
        efficiency=calculate_efficiency(improvement, seconds),
        samples=manifest.get("dataset", {}).get("rows"),
        loss=manifest.get("metrics", {}).get("loss"),
        error=_error(decisive),
    )


def generation_of(layout: Layout, night: str) -> Generation | None:
    """What the night's last round has trained; none: nothing."""
    found = [path.parent.name for path in layout.loras.glob(f"{night}*/{MANIFEST}")]
    rounds = [each for each in found if runs.night_of(each) == night]
    return generations.read(layout, max(rounds, key=lambda each: (len(each), each))) if rounds else None


def verdict_of(generation: Generation | None) -> dict[str, Any]:
    """What the canary said; empty where it was not asked."""
    return (generations.verdict(generation) if generation else None) or {}


def performances(verdict: dict[str, Any]) -> tuple[float | None, float | None]:
    """Held-out success of incumbent and candidate: on the hold-out, else on the questions hidden this week."""
    for suite in ("holdout", "hidden"):
        shares = verdict.get("suites", {}).get(suite, {})
        if shares.get("n"):
            return shares["incumbent"]["success"], shares["candidate"]["success"]
    return None, None


def _pruned(lines: list[dict[str, Any]]) -> str | None:
    """What was trained, when its folder is gone."""
    trained = [str(each["run"]) for each in lines if each["stage"] == "train" and each["exit_code"] == ExitCode.DONE]
    return trained[-1] if trained else None


def _status(layout: Layout, identity: str | None, generation: Generation | None, lines: list[dict[str, Any]]) -> Status:
    """What has become of the night: by the ledger, a person's no, the last stage's ending, the verdict."""
    if identity is None:
        return "failed" if lines and _failed(lines[-1]) else "nothing"
    if swapped := _swapped(layout, identity):
        return swapped
    said = permission.read(generation) if generation else None
    if said is not None and said["state"] == permission.REJECTED:
        return "refused"
    last = lines[-1] if lines else {"exit_code": ExitCode.DONE, "status": "done"}
    if last["status"] in ("Refused", "Inconclusive"):
        return "refused" if last["status"] == "Refused" else "inconclusive"
    if _failed(last):
        return "failed"
    return _VERDICTS.get(str(verdict_of(generation).get("outcome")), "trained")


def _swapped(layout: Layout, identity: str) -> Status | None:
    """What the ledger says: deployed, given up again, or nothing.

    Who takes a rollback back, to what is newer, does not give up what served meanwhile.
    """
    found: Status | None = None
    returned = False
    for swap in generations.ledger(layout):
        rolled_back = str(swap["reason"]).startswith(_ROLLED_BACK)
        if swap["to"] == identity:
            found, returned = "deployed", rolled_back
        elif swap["from"] == identity and rolled_back and not (returned and _age(swap["to"]) > _age(identity)):
            found = "rolled_back"
    return found


def _in_vain(line: dict[str, Any], identity: str | None) -> bool:
    """Whether a round failed after the one that brought forth the candidate: the night goes on without it."""
    later = identity is not None and _age(str(line["run"])) > _age(identity)
    return later and line["stage"] in _ROUND and _failed(line)


def _age(identity: str) -> tuple[bool, str, int, str]:
    """Larger for what was trained later: the base came before all, the tenth round of a night after its second."""
    return identity != BASE, runs.night_of(identity), len(identity), identity


def _failed(line: dict[str, Any]) -> bool:
    return int(line["exit_code"]) >= ExitCode.USAGE


def _error(lines: list[dict[str, Any]]) -> str | None:
    """The kind of the last error, never its words: they may hold what somebody wrote."""
    errors = [ExitCode(int(each["exit_code"])).name.lower() for each in lines if _failed(each)]
    return errors[-1] if errors else None


def _begun(night: str) -> float:
    return datetime.strptime(night, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
