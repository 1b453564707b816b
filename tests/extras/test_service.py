"""The service on the embedded default: people ask, it looks, and a night is played without anybody starting one."""

import json
import signal
from typing import Any

import requests
from conftest import Home, wait_for


def published(home: Home) -> dict[str, Any]:
    path = home.folder / "logs" / "service.json"
    return json.loads(path.read_text()) if path.exists() else {}


def test_a_service_plays_a_real_night_when_enough_has_failed_and_then_rests(home: Home) -> None:
    home.environment = {
        "NIGHTSCHOOL_HARVEST__MINUTES": "0.5",
        "NIGHTSCHOOL_HARVEST__PROBES": "100",
        "MIN_FAILURES_TO_TRAIN": "1",
    }
    with home.serving():
        service = home.start("service", "--evolution-interval", "2s", "--min-samples", "20", "--port", "0")
        wait_for(lambda: published(home).get("waiting") == 0, 60)
        home.result("starter", "day", "--requests", "120", "--seed", "1")
        wait_for(lambda: published(home).get("last_night") is not None, 400)
        # After the night it looks again, finds nothing that nobody has decided, or lets the training rest.
        looked = published(home)["last_look"]
        wait_for(lambda: (published(home)["last_look"] or 0) > looked, 60)
        told = requests.get(f"{published(home)['url']}/health", timeout=10)
        service.send_signal(signal.SIGTERM)
        _, said = service.communicate(timeout=60)
    assert service.returncode == 0, said
    assert told.status_code == 200, told.text
    night = told.json()["last_night"]
    # What so short a night teaches is the canary's to say.
    assert night["exit_code"] in (0, 20, 21), said
    (trained,) = home.folder.glob("loras/2*/generation.json")
    assert trained.parent.name == night["run"]
    stages = [line["stage"] for line in home.lines("logs/runs.jsonl") if line["run"] == night["run"]]
    assert stages[:5] == ["doctor", "harvest", "build-dataset", "train", "canary"]
    assert said.count("a night begins") == 1
