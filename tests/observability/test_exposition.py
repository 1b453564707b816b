"""What Prometheus' own tools, its node exporter and its Pushgateway say to what we tell them."""

import subprocess
from pathlib import Path

import pytest
import requests
from conftest import Home, make_home
from filled_store import a_week, fill
from programs import DOCS, complaints, node_exporter, program, pushgateway

from pipeline.backends.sinks import families
from pipeline.lib.layout import Layout

# The name is a promise, and promtool would rather have bytes.
PROMISED = ["evolution_memory_used_mb metric names should not contain abbreviated units"]


@pytest.fixture
def filled(tmp_path: Path) -> Home:
    fill(Layout(tmp_path).metrics, a_week())
    return Home(tmp_path)


def test_promtool_has_nothing_to_complain_about_but_one_promised_name(filled: Home):
    assert complaints(families.exposition(Layout(filled.folder))) == PROMISED


def test_nor_about_what_the_gateway_serves(tmp_path: Path, base_model: Path):
    home = make_home(tmp_path, base_model)
    fill(Layout(tmp_path).metrics, a_week())
    with home.serving():
        home.ask("set total to 7 + 2")
        home.run("feedback", home.lines("logs/interactions/*.jsonl")[0]["id"], "--thumb", "up")
        served = requests.get(f"{home.url}/metrics", timeout=30)
    assert complaints(served.content) == PROMISED
    assert 'nightschool_requests_total{status="ok",version="base"} 1.0' in served.text
    assert "autogen_training_completed_total 5.0" in served.text


def test_promtool_takes_the_rules_and_the_example():
    for check in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]):
        done = subprocess.run(
            [program("promtool"), *check], cwd=DOCS, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "FAILED" not in done.stdout


def test_the_rules_fire_when_they_should_and_only_then():
    done = subprocess.run(
        [program("promtool"), "test", "rules", "alerts_test.yml"],
        cwd=DOCS,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_the_node_exporter_reads_the_textfile(filled: Home, tmp_path: Path):
    folder = tmp_path / "textfiles"
    filled.environment["NIGHTSCHOOL_SINKS__TEXTFILE"] = str(folder / "nightschool.prom")
    done = filled.run("export-metrics")
    assert done.returncode == 0, done.stderr
    assert (folder / "nightschool.prom").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in folder.iterdir()] == ["nightschool.prom"]
    with node_exporter(tmp_path / "node", folder) as url:
        text = requests.get(f"{url}/metrics", timeout=30).text
    assert "node_textfile_scrape_error 0" in text
    assert "autogen_deployment_success_total 3" in text
    assert 'evolution_duration_seconds_bucket{agent_id="starter",evolution_type="sft",le="300"} 3' in text
    assert "_created" not in text


def test_what_is_pushed_replaces_what_was_pushed_before(filled: Home, tmp_path: Path):
    with pushgateway(tmp_path / "pushgateway") as url:
        filled.environment["NIGHTSCHOOL_SINKS__PUSHGATEWAY"] = url
        for _ in range(2):
            done = filled.run("export-metrics")
            assert done.returncode == 0, done.stderr
        text = requests.get(f"{url}/metrics", timeout=30).text
    pushed = [line for line in text.splitlines() if line.startswith("autogen_training_completed_total{")]
    assert len(pushed) == 1
    assert 'job="nightschool"' in pushed[0]
    assert pushed[0].endswith(" 5")
    assert "push_failure_time_seconds{" in text


def test_a_login_for_the_pushgateway_is_used_and_never_shown(filled: Home, tmp_path: Path):
    config = tmp_path / "web.yml"
    # bcrypt of "T0S3CR3T"
    config.write_text('basic_auth_users:\n  night: "$2b$04$K6XD4GqXECOvV18Z62lhYOi1ySGCirHXCMpIl/Lsupx3CeKAGgYmG"\n')
    with pushgateway(tmp_path / "pushgateway", f"--web.config.file={config}") as url:
        place = url.removeprefix("http://")
        filled.environment["NIGHTSCHOOL_SINKS__PUSHGATEWAY"] = f"http://night:T0S3CR3T@{place}"
        done = filled.run("export-metrics")
        assert done.returncode == 0, done.stderr
        filled.environment["NIGHTSCHOOL_SINKS__PUSHGATEWAY"] = f"http://night:T0S3CR3T-wrong@{place}"
        refused = filled.run("export-metrics")
    assert refused.returncode == 69
    assert "HTTP 401" in refused.stderr
    for text in (refused.stderr, (filled.folder / "logs" / "nightschool.log").read_text()):
        assert "T0S3CR3T" not in text
