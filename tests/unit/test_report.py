from pathlib import Path

import pytest

from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.files import write_json
from pipeline.report import report
from pipeline.reporting.story import show

RUN = "20261120T020000Z"


def test_the_morning_reader_sees_what_was_not_read_and_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    manifest = "training_data/harvest_20261120.json"
    outputs = {"failures": 9, "rewrites": 6, "unsolved": 3, "left": 0, "manifest": manifest}
    line = {"run": RUN, "stage": "harvest", "exit_code": 0, "seconds": 1.0, "outputs": outputs}
    jsonl.append(tmp_path / "logs" / "runs.jsonl", [line])
    problem = {"reason": "not JSON", "count": 2, "places": ["2026-11-20.jsonl line 7"]}
    write_json(tmp_path / manifest, {"unreadable": {"llm:logs.db": "it is locked"}, "problems": {"gateway": [problem]}})
    counts = {"new": 5, "rewrites": 5, "replay": 5, "dropped": {"empty answer": 1}, "removed": {"EMAIL": 3}}
    write_json(tmp_path / "training_data" / RUN / "dataset.json", counts)
    settings = Settings(home=tmp_path, server={"port": 9})
    show(report(settings, None))
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in (
        "llm:logs.db: it is locked",
        "gateway: 2 × not JSON (2026-11-20.jsonl line 7)",
        "1 × empty answer",
        "3 × EMAIL",
    ):
        assert part in told
