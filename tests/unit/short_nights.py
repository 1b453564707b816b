"""Homes with failures in them, and programs that stand where the stages would be: a night of a second."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.config import SHORT_NAMES
from pipeline.lib.records import content_id

REPOSITORY = Path(__file__).resolve().parents[2]
WRAPPER = REPOSITORY / "cron" / "nightly_improvement.sh"

# Writes down what it was asked, and ends as the file `endings/<command>` says, after so many seconds as it says.
_PROGRAM = """#!/bin/sh
cd "$NIGHTSCHOOL_HOME"
echo "$*" >>calls
case $1 in config) [ "$3" = night.rounds ] && cat rounds || echo 0; exit ;; esac
case $1 in harvest) [ ! -s found ] || { sed -i '$d' found; echo >>training_data/harvest_20261120.jsonl; } ;; esac
[ -e "endings/$1" ] || { [ ! -e "endings/later-$1" ] || mv "endings/later-$1" "endings/$1"; exit 0; }
read code seconds <"endings/$1"
sleep "$seconds"
echo "$1 is over" >>calls
[ "$code" -lt 64 ] || echo "error: $1 failed" >&2
exit "$code"
"""


class Nights:
    """An installation whose stages are the program above."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "nightschool"
        self.program.write_text(_PROGRAM)
        self.program.chmod(0o755)
        (folder / "endings").mkdir()
        (folder / "training_data").mkdir()
        self.rounds(1)
        (folder / "logs").mkdir()

    def rounds(self, most: int, that_find_something: int = 0) -> None:
        (self.folder / "rounds").write_text(f"{most}\n")
        (self.folder / "found").write_text("\n" * that_find_something)

    def ends(self, command: str, code: int, seconds: float = 0) -> None:
        (self.folder / "endings" / command).write_text(f"{code} {seconds}\n")

    def ends_later(self, command: str, code: int) -> None:
        """From its second time on."""
        self.ends(f"later-{command}", code)

    def fails(self, count: int) -> None:
        """So many answers that failed, a minute ago."""
        day = time.strftime("%Y-%m-%d.jsonl", time.gmtime(time.time() - 60))
        rows = [
            {
                "kind": "interaction",
                "id": content_id("failure", number),
                "source": "gateway",
                "at": time.time() - 60,
                "messages": [{"role": "user", "content": f"x = {number} + 1"}],
                "answer": "no",
                "success": False,
            }
            for number in range(count)
        ]
        jsonl.append(self.folder / "logs" / "interactions" / day, rows)

    @property
    def calls(self) -> list[str]:
        """What the wrapper has asked the stages, in order; without the settings that it read."""
        path = self.folder / "calls"
        asked = path.read_text().splitlines() if path.exists() else []
        return [each for each in asked if not each.startswith("config")]

    @property
    def variables(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("NIGHTSCHOOL") and name not in SHORT_NAMES
        }
        return {
            **inherited,
            "NIGHTSCHOOL": str(self.program),
            "NIGHTSCHOOL_HOME": str(self.folder),
            "NIGHTSCHOOL_DATASET__HIDDEN_SHARE": "0",
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "pipeline.cli", *arguments]
        return subprocess.Popen(command, env=self.variables, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments) as process:
            said, complained = process.communicate(timeout=60)
        assert "Traceback" not in complained, complained
        return subprocess.CompletedProcess(arguments, process.returncode, said, complained)

    def wrapper(self) -> "subprocess.Popen[str]":
        """In a process group of its own, as a terminal would start it."""
        return subprocess.Popen(
            [WRAPPER],
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def said(self) -> dict[str, Any]:
        """What the service has published last; nothing yet: empty."""
        path = self.folder / "logs" / "service.json"
        return json.loads(path.read_text()) if path.exists() else {}
