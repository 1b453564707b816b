import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.lib import jsonl
from pipeline.lib.config import SHORT_NAMES

NEVER = {"torch", "transformers", "trl", "peft", "datasets"}
# `serve` is missing on purpose: it opens the model. The others run from a crontab and have to start quickly.
STAGES = ["harvest", "build_dataset", "train", "canary", "deploy", "rollback", "notify", "doctor", "status", "report"]
STAGES += ["prune", "versions", "compare", "explain", "approve", "validate", "switch_base", "sources", "models"]
STAGES += ["patterns", "vm", "service", "ping"]


def cli(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTSCHOOL_")}
    environment = {name: value for name, value in kept.items() if name not in SHORT_NAMES}
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    environment |= {"HOME": str(home), "NIGHTSCHOOL_SERVER__PORT": str(port), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def log_of_today(home: Path) -> Path:
    return home / "logs" / "interactions" / time.strftime("%Y-%m-%d.jsonl", time.gmtime())


def failed_once(home: Path) -> Path:
    record = {
        "kind": "interaction",
        "id": "a" * 24,
        "source": "gateway",
        "at": time.time() - 1,
        "messages": [{"role": "user", "content": "x = 1 + 1"}],
        "answer": "no",
        "success": False,
        "check": {"type": "vm", "memory": {"x": 2}},
    }
    jsonl.append(log_of_today(home), [record])
    return log_of_today(home)


def snapshot(home: Path) -> dict[str, bytes]:
    """Every file below home; the program's own log file may have been opened."""
    own = home / "logs" / "nightschool.log"
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file() and path != own}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["harvset"], 64, "No such command 'harvset'"),
        (["--set", "train.epoch=2", "status"], 78, "hint: did you mean 'epochs'?"),
        (["harvest", "--since", "yesterday"], 64, "'yesterday' is no date"),
        (["build-dataset", "--run", "../../etc"], 64, "is no run id"),
        (["harvest"], 10, "no failures in the window"),
    ],
)
def test_a_command_that_cannot_run_says_why_with_its_exit_code(
    tmp_path: Path, arguments: list[str], code: int, said: str
):
    done = cli(tmp_path, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""


def test_a_harvest_without_a_server_is_unavailable_and_leaves_its_line_in_the_run_log(tmp_path: Path):
    failed_once(tmp_path)
    done = cli(tmp_path, "harvest")
    assert done.returncode == 69
    assert "no answer from the gateway" in done.stderr
    assert "hint: start it with `nightschool serve`" in done.stderr
    (line,) = jsonl.read(tmp_path / "logs" / "runs.jsonl")
    assert (line["stage"], line["status"], line["exit_code"]) == ("harvest", "failed", 69)


def test_a_dry_run_finds_the_failures_without_a_server_and_writes_nothing(tmp_path: Path):
    failed_once(tmp_path)
    before = snapshot(tmp_path)
    done = cli(tmp_path, "harvest", "--dry-run", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"failures": 1' in done.stdout
    assert cli(tmp_path, "build-dataset", "--dry-run").returncode == 10
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "loras").exists()


def test_a_broken_line_of_the_log_is_named_and_nothing_is_lost(tmp_path: Path):
    log = failed_once(tmp_path)
    with log.open("ab") as file:
        file.write(b'{"kind": oops}\n')
    content = log.read_bytes()
    done = cli(tmp_path, "harvest")
    assert done.returncode == 69  # the rest goes on, as far as it does without a server
    assert "gateway: 1 × not JSON" in done.stderr
    assert f"{log.name} line 2" in done.stderr
    assert log.read_bytes() == content


def test_a_program_that_fails_names_its_line(tmp_path: Path):
    program = tmp_path / "program.vm"
    program.write_text("PUSH #1\nPUSH #0\nDIV\n")
    done = cli(tmp_path, "vm", "run", str(program))
    assert done.returncode == 65
    assert "line 3: arithmetic error: division by zero" in done.stderr


def test_the_webhook_is_never_shown(tmp_path: Path):
    secrets = [f"notify.{name}=S3CRET" for name in ("webhook", "webhook_secret", "smtp_password")]
    done = cli(tmp_path, *(part for each in secrets for part in ("--set", each)), "config", "show")
    assert done.returncode == 0
    assert "(set)" in done.stdout
    assert "S3CRET" not in done.stdout + done.stderr


def test_a_misspelt_override_is_named_without_its_value(tmp_path: Path):
    done = cli(tmp_path, "--set", "webhook=https://example.org/S3CRET", "config", "show")
    assert done.returncode == 64
    assert "--set webhook" in done.stderr
    assert "S3CRET" not in done.stdout + done.stderr


def test_no_command_of_the_night_imports_torch_before_it_needs_it():
    modules = ["pipeline.cli", *(f"pipeline.{stage}" for stage in STAGES)]
    code = f"""
import importlib, sys
for name in {modules}:
    importlib.import_module(name)
print({NEVER} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "set()\n"


def test_one_setting_is_shown_bare_for_scripts_and_an_unknown_one_is_refused(tmp_path: Path):
    assert cli(tmp_path, "--set", "night.rounds=3", "config", "show", "night.rounds").stdout == "3\n"
    assert cli(tmp_path, "--set", "notify.webhook=https://a/secret", "config", "show", "notify.webhook").stdout == (
        "(set)\n"
    )
    refused = cli(tmp_path, "config", "show", "night.round")
    assert refused.returncode == 64
    assert "night.round" in refused.stderr
