"""status: what is current on disk, what the server says it serves, what ran last.

reads   `loras/`, `logs/runs.jsonl`, `logs/service.json`; asks the gateway
"""

from datetime import UTC, datetime
from typing import Any

from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib import generations, jsonl, runs
from pipeline.lib.config import Settings
from pipeline.lib.errors import NightschoolError
from pipeline.servicing import state as servicing


def status(settings: Settings) -> dict[str, Any]:
    """The state of this installation."""
    layout = settings.layout
    incumbent = generations.incumbent(layout)
    lines = list(jsonl.read(layout.runs))
    return {
        "current": incumbent.id,
        "current_sha256": incumbent.sha256,
        "server": _server(settings),
        "generations": [
            {
                "id": each.id,
                "parent": each.manifest.get("parent"),
                "verdict": (generations.verdict(each) or {}).get("outcome"),
                "rows": each.manifest["dataset"]["rows"],
            }
            for each in generations.all_complete(layout)
        ],
        "service": servicing.glance(layout),
        "last_run": runs.of_night(layout, lines[-1]["run"]) if lines else [],
    }


def _server(settings: Settings) -> dict[str, Any]:
    try:
        health = GatewayClient(settings, timeout=5).health()
    except NightschoolError as error:
        return {"status": "down", "reason": str(error)}
    return {key: health[key] for key in ("status", "adapter", "adapter_sha256", "base_sha256")}


def _service(said: dict[str, Any]) -> str:
    if not said["running"]:
        return "not running"
    parts = [said["state"]]
    if said["waiting"] is not None:
        parts.append(f"{said['waiting']} of {said['min_samples']} new failures")
    if said["next_look"]:
        parts.append(f"next look {datetime.fromtimestamp(said['next_look'], UTC):%Y-%m-%d %H:%M}")
    if said["errors_in_row"]:
        parts.append(f"{said['errors_in_row']} errors in a row: {said['last_error']}")
    return ", ".join(parts)


def show(state: dict[str, Any]) -> None:
    """Print the state for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    server = state["server"]
    console.print(f"current on disk   {state['current']}  {state['current_sha256'] or ''}", highlight=False)
    if server["status"] == "ok":
        agrees = "" if server["adapter"] == state["current"] else "  [red]differs from the disk[/red]"
        console.print(f"server            serves {server['adapter']}{agrees}", highlight=False)
    else:
        console.print(f"server            [yellow]down[/yellow]: {server['reason']}", highlight=False)
    if state["service"]:
        console.print(f"service           {_service(state['service'])}", highlight=False, markup=False)
    if state["generations"]:
        table = Table("generation", "parent", "verdict", "rows")
        for each in state["generations"]:
            table.add_row(each["id"], str(each["parent"]), str(each["verdict"] or "–"), str(each["rows"]))
        console.print(table)
    for line in state["last_run"]:
        at = datetime.fromtimestamp(line["at"], UTC).strftime("%Y-%m-%d %H:%M")
        console.print(f"{at}  {line['stage']:<14} {line['status']:<14} {line['seconds']:8.1f} s", highlight=False)
