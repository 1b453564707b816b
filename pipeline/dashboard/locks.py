"""Which stages are running now, by the locks that they hold.

reads   `/proc/locks`: a lock is never tried, for a stage that starts at that moment would find it taken
"""

from pathlib import Path

from pipeline.lib.layout import Layout

_LOCKS = Path("/proc/locks")
_UNINTERESTING = {"serve", "dashboard", "service", "serving", "swap"}  # not one stage's, or for milliseconds


def held(layout: Layout) -> list[str]:
    """The names of the stages, and `night` while the wrapper runs; none where the kernel does not tell."""
    return [name for name in _all_held(layout) if name not in _UNINTERESTING]


def is_service_running(layout: Layout) -> bool:
    """Whether `nightschool service` runs, which plays a night when there is something to learn."""
    return "service" in _all_held(layout)


def _all_held(layout: Layout) -> list[str]:
    inodes = _locked_inodes()
    return [path.stem for path in sorted(layout.logs.glob("*.lock")) if path.stat().st_ino in inodes]


def _locked_inodes() -> set[int]:
    """Of lines such as `1: FLOCK  ADVISORY  WRITE 23357 fe:00:2580483 0 EOF`."""
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return set()
    fields = (line.split() for line in lines)
    return {int(field[5].rpartition(":")[2]) for field in fields if field[1] == "FLOCK"}
