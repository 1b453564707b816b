"""What stands in files for people agrees with the code."""

import re
import subprocess
import sys
from pathlib import Path

from benchmarks import publish
from pipeline.lib.config import example
from pipeline.lib.errors import ExitCode

REPOSITORY = Path(__file__).resolve().parents[2]


def test_example_configuration_is_the_generated_one() -> None:
    assert (REPOSITORY / "nightschool.example.toml").read_text(encoding="utf-8") == example()


def test_readme_lists_every_exit_code() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert re.search(rf"\| *{int(code)} *\|", text), code


def test_readme_names_only_commands_that_exist() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    named = {line.split()[1] for line in re.findall(r"^nightschool [a-z-]+", text, flags=re.MULTILINE)}
    assert named
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--help"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert {name for name in named if name not in done.stdout} == set()


def test_shell_scripts_parse() -> None:
    for script in sorted((REPOSITORY / "cron").glob("*.sh")):
        subprocess.run(["bash", "-n", script], check=True)


def test_tables_in_documents_are_those_of_the_kept_results() -> None:
    for name in publish.DOCUMENTS:
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert publish.filled(text) == text, f"`python -m benchmarks.publish` brings {name} up to date"
