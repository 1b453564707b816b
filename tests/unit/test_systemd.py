import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "cron" / "systemd"
UNITS = sorted(path.name for path in SOURCE.glob("nightschool-*"))

analyzed = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: apt-get install systemd"
)


def install(folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    program = folder / "nightschool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    named = {"NIGHTSCHOOL_HOME": str(folder), "NIGHTSCHOOL": str(program), **variables}
    return run(folder, str(SOURCE / "install.sh"), **named)


def run(folder: Path, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "XDG_RUNTIME_DIR": str(folder / "run")}
    return subprocess.run(
        command, env={**environment, **variables}, capture_output=True, text=True, timeout=60, check=False
    )


@analyzed
def test_systemd_has_nothing_to_say_against_the_installed_units(tmp_path: Path):
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    installed = tmp_path / "config" / "systemd" / "user"
    assert sorted(path.name for path in installed.glob("nightschool-*") if path.is_file()) == UNITS
    assert not any("@" in path.read_text() for path in installed.glob("nightschool-*") if path.is_file())
    checked = run(tmp_path, "systemd-analyze", "--user", "verify", *(str(installed / name) for name in UNITS))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@analyzed
def test_systemd_would_complain_of_a_line_that_it_does_not_know(tmp_path: Path):
    install(tmp_path)
    unit = tmp_path / "config" / "systemd" / "user" / "nightschool-night.service"
    unit.write_text(unit.read_text().replace("KillMode=", "KilMode="))
    assert "KilMode" in run(tmp_path, "systemd-analyze", "--user", "verify", str(unit)).stderr


@analyzed
@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".timer")])
def test_timers_elapse_when_crontab_example_says(tmp_path: Path, name: str):
    (moment,) = re.findall(r"^OnCalendar=(.+)$", (SOURCE / name).read_text(), re.MULTILINE)
    elapses = run(tmp_path, "systemd-analyze", "calendar", moment)
    assert elapses.returncode == 0, elapses.stderr
    (hour,) = re.findall(r"Next elapse: .* (\d\d):00:00", elapses.stdout)
    called = {"index": "index", "night": "nightly_improvement.sh", "validate": "validate"}[
        name.removeprefix("nightschool-").removesuffix(".timer")
    ]
    table = (REPOSITORY / "cron" / "crontab.example").read_text()
    assert re.search(rf"^0 {int(hour)} \* \* \* .*{called}", table, re.MULTILINE)


def test_a_folder_that_a_unit_cannot_name_and_a_program_that_is_missing_are_refused(tmp_path: Path):
    refused = install(tmp_path, NIGHTSCHOOL_HOME=str(tmp_path / "two words"))
    assert refused.returncode == 64
    assert "two words" in refused.stderr
    refused = install(tmp_path, NIGHTSCHOOL=str(tmp_path / "nothing"))
    assert refused.returncode == 78
    assert not (tmp_path / "config").exists()


def test_endings_that_are_quiet_in_the_readme_are_no_failures_for_systemd():
    quiet = re.findall(r"^\| (\d+) \|.*\| quiet success", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    (listed,) = re.findall(
        r"^SuccessExitStatus=(.+)$", (SOURCE / "nightschool-night.service").read_text(), re.MULTILINE
    )
    assert listed.split() == quiet


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_every_unit_runs_a_command_that_exists(name: str):
    (line,) = re.findall(r"^ExecStart=(.+)$", (SOURCE / name).read_text(), re.MULTILINE)
    program, *arguments = line.split()
    if program == "@PROGRAM@":
        command = [sys.executable, "-m", "pipeline.cli", *arguments, "--help"]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    elif program.startswith("@CODE@"):
        assert os.access(program.replace("@CODE@", str(REPOSITORY)), os.X_OK)
