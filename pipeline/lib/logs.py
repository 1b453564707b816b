"""Logging: one line an event on stderr and in logs/nightschool.log; tracebacks go to the file only."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from pipeline.lib.text import one_line

logger = logging.getLogger("nightschool")


_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _OneLine(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """One line, whatever the message holds."""
        return one_line(super().formatMessage(record))


class _WithoutTraceback(_OneLine):
    def formatException(self, ei: object) -> str:  # noqa: N802 - the name that logging calls
        """Leave tracebacks to the file."""
        return ""

    def format(self, record: logging.LogRecord) -> str:
        """Without what another handler has kept of the traceback."""
        record.exc_text = None
        return super().format(record).rstrip("\n")


class _ForTheJournal(_WithoutTraceback):
    """With the priority that systemd's journal takes from the beginning of a line (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """Only priority and message: the journal has time and process already."""
        return f"<{_PRIORITIES.get(record.levelno, 5)}>{super().format(record)}"


def _is_the_journal(stream: TextIO) -> bool:
    """Whether this very stream leads to the journal: a child that writes elsewhere inherits the variable as well."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file behind it
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def configure(folder: Path, verbose: bool) -> None:
    """Send messages to stderr (warnings, or everything when verbose) and to a rotating file (everything)."""
    logger.setLevel(logging.DEBUG)
    logger.handlers.clear()
    logger.propagate = False
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.INFO if verbose else logging.WARNING)
    journal = _is_the_journal(sys.stderr)
    screen.setFormatter(_ForTheJournal("%(message)s") if journal else _WithoutTraceback("%(levelname)s %(message)s"))
    logger.addHandler(screen)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(folder / "nightschool.log", maxBytes=10_000_000, backupCount=3, encoding="utf-8")
    except OSError as error:
        logger.warning("no log file: %s", error)
        return
    file.setFormatter(_OneLine("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger.addHandler(file)
