"""How our processes use processors and memory."""

import ctypes
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # mallopt(3)


_WIDE = 32  # rows; batches of so many are the night's own, and worth every processor


def math_threads(configured: int, rows: int) -> int:
    """Math threads of the embedded engine for a batch: as configured, else all for a wide one, half for a narrow one.

    People ask one thing at a time, also while a training works. Math threads of two processes that want the same
    processor wait for each other at every operation (LOG.md): with half of them the two leave each other room.
    """
    processors = len(os.sched_getaffinity(0))
    return configured or (processors if rows >= _WIDE else max(1, processors // 2))


def keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks.

    Tensors of a few megabytes are made and freed at every step; each time the kernel would map and clear them anew.
    Does nothing where the C library has no `mallopt`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in (
        (_ARENA_MAX, 1),
        (_MMAP_THRESHOLD, 32 << 20),
        (_TOP_PAD, 64 << 20),
        (_TRIM_THRESHOLD, 1 << 30),
    ):
        mallopt(parameter, value)
