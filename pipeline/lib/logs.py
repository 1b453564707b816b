"""Logging: one line an event on stderr and in logs/nightschool.log; tracebacks go to the file only."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

logger = logging.getLogger("nightschool")


class _WithoutTraceback(logging.Formatter):
    def formatException(self, ei: object) -> str:  # noqa: N802 - the name that logging calls
        """Leave tracebacks to the file."""
        return ""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        record.exc_text = None
        return super().format(record).rstrip("\n")


def configure(folder: Path, verbose: bool) -> None:
    """Send messages to stderr (warnings, or everything when verbose) and to a rotating file (everything)."""
    logger.setLevel(logging.DEBUG)
    logger.handlers.clear()
    logger.propagate = False
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.INFO if verbose else logging.WARNING)
    screen.setFormatter(_WithoutTraceback("%(levelname)s %(message)s"))
    logger.addHandler(screen)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(folder / "nightschool.log", maxBytes=10_000_000, backupCount=3, encoding="utf-8")
    except OSError as error:
        logger.warning("no log file: %s", error)
        return
    file.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger.addHandler(file)
