"""The last lines of what happened: stages that ended, and what the programs logged.

reads   `logs/runs.jsonl`, `logs/nightschool.log`
"""

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pipeline.dashboard.shapes import Json, Line, Severity
from pipeline.lib.config import Settings
from pipeline.lib.text import visible, without_logins

KEPT = 80  # lines

_TAIL = 64 * 1024  # bytes of the log that are looked at
_LONGEST = 400  # characters of one line
_ENTRY = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) \d+ (INFO|WARNING|ERROR|CRITICAL) (.*)")
_LEVELS: dict[str, Severity] = {"INFO": "info", "WARNING": "warning", "ERROR": "bad", "CRITICAL": "bad"}


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """What must never be on a page, whoever wrote it into a log."""
    files = (settings.layout.control_token, settings.layout.logs / "dashboard.token")
    tokens = [path.read_text(encoding="ascii").strip() for path in files if path.is_file()]
    return (*settings.secrets, *(token for token in tokens if token))


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without them, and without the logins in its URLs."""
    for secret in secrets:
        text = text.replace(secret, "•••")
    return without_logins(text)


def activity(settings: Settings, ran: list[Json]) -> list[Line]:
    """The last lines, oldest first."""
    hidden = secrets_of(settings)
    found = [*map(_of_stage, ran[-KEPT:]), *_of_log(settings.layout.logs / "nightschool.log")]
    found.sort(key=lambda line: line["at"])
    return [{**line, "text": visible(without(line["text"], hidden), _LONGEST)} for line in found[-KEPT:]]


def _of_stage(line: Json) -> Line:
    code = int(line["exit_code"])
    said = f": {line['message']}" if line.get("message") else ""
    severity: Severity = "good" if code == 0 else "bad" if code >= 64 else "warning" if code == 30 else "info"
    ending = "done" if code == 0 else f"exit {code}"
    text = f"{line['stage']} {ending} after {line['seconds']:.1f} s{said}"
    return {"at": line["at"] + line["seconds"], "kind": "stage", "severity": severity, "text": text}


def _of_log(path: Path) -> list[Line]:
    """Entries at the end of the log; what follows an entry (a traceback) belongs to it and stays in the file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            tail = file.read(_TAIL).decode("utf-8", errors="replace")
    except OSError:
        return []
    lines: list[Line] = [
        {
            "at": datetime.fromisoformat(entry[1]).timestamp() + int(entry[2]) / 1000,  # written in local time
            "kind": "log",
            "severity": _LEVELS[entry[3]],
            "text": entry[4],
        }
        for line in tail.split("\n")
        if (entry := _ENTRY.fullmatch(line))
    ]
    return lines[-KEPT:]
