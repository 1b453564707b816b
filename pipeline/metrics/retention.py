"""Detail rows that are older than the retention go; the daily tables, the evolutions and the KPIs stay."""

import sqlite3
import time
from pathlib import Path

from pipeline.lib.logs import logger
from pipeline.metrics import database
from pipeline.metrics.database import NewerStoreError

_TABLES = ("query_metrics", "feedback_metrics", "resource_samples", "system_events")
_ROWS = 2000  # of one transaction: tens of milliseconds
_PAGES = 1000
_EMPTY_SHARE = 0.25  # of the file; less will be filled again by the next days
_DAY = 86_400


def expire(path: Path, days: float, now: float) -> int:
    """Delete rows older than `days`, in small transactions between which others write.

    What fails is a warning: the next night goes on where this one ended.

    Args:
        path: the store; one that is not there has no rows.
        days: how long rows are kept.
        now: seconds since 1970.

    Returns: how many were deleted.
    """
    if not path.exists():
        return 0
    deleted = 0
    try:
        db = database.connect(path)
        try:
            for table in _TABLES:
                while count := _delete_some(db, table, now - days * _DAY):
                    deleted += count
            _give_back_space(db)
        finally:
            db.close()
    except NewerStoreError as error:
        logger.warning("old metrics are kept: %s; %s", error, error.hint)
    except (sqlite3.Error, OSError) as error:
        logger.warning("old metrics in %s are kept: %s", path, error)
    return deleted


def _delete_some(db: sqlite3.Connection, table: str, before: float) -> int:
    begun = time.perf_counter()
    with database.transaction(db):
        statement = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE at < ? LIMIT {_ROWS})"
        count = db.execute(statement, (before,)).rowcount
    if count:
        time.sleep(time.perf_counter() - begun)  # half of the time is for those who wait to write
    return count


def _give_back_space(db: sqlite3.Connection) -> None:
    while _pragma(db, "freelist_count") > _EMPTY_SHARE * _pragma(db, "page_count"):
        before = _pragma(db, "page_count")
        db.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        if _pragma(db, "page_count") >= before:  # a file that was made without it
            break
    db.execute("PRAGMA analysis_limit = 1000")
    db.execute("PRAGMA optimize")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
