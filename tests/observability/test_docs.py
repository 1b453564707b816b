"""docs/observability.md, typed."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY, Home, make_home
from filled_store import a_week, fill
from programs import influx, pushgateway

from pipeline.lib.layout import Layout

PAGE = (REPOSITORY / "docs" / "observability.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"`nightschool ([a-z][a-z -]*?)(?: -[^`]*)?`", PAGE)))


@dataclass
class Machine:
    home: Home
    addresses: dict[str, str]

    def type(self, block: str) -> str:
        """What the lines print, with the addresses of this machine in them."""
        for told, here in self.addresses.items():
            block = block.replace(told, here)
        return self.home.typed(block)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    home = make_home(folder / "home", base_model)
    (home.folder / "docs").symlink_to(REPOSITORY / "docs")
    fill(Layout(home.folder).metrics, a_week())
    with ExitStack() as stack:
        stack.enter_context(home.serving())
        pushed = stack.enter_context(pushgateway(folder / "pushgateway"))
        rows = stack.enter_context(influx(folder / "influx"))
        told = {"http://127.0.0.1:8808": home.url, "http://127.0.0.1:9091": pushed, "http://127.0.0.1:8086": rows}
        yield Machine(home, told)


@pytest.mark.parametrize("block", BLOCKS)
def test_commands_work_when_typed(machine: Machine, block: str):
    printed = machine.type(block)
    if "grep ^autogen_" in block:
        assert "autogen_training_completed_total" in printed
    if "evolution_metrics" in block:
        assert "rolled_back" in printed
    if "--textfile" in block:
        assert (machine.home.folder / "textfiles" / "nightschool.prom").is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_are_mentioned_exist(command: str):
    done = subprocess.run(
        [*Home(REPOSITORY).command(), *command.split(), "--help"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_there_is_something_to_type():
    assert len(BLOCKS) >= 6
    assert {"report", "status", "export-metrics", "metrics history"} <= set(COMMANDS)
