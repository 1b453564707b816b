"""Gives up, for this process and for good, all that Landlock, capabilities and a filter of system calls can take.

python confine.py <filter, hexadecimal> <readable path> …

Afterwards it runs what comes in, marshalled, by standard input; a step that fails ends it before that. Imports nothing
of Nightschool, and little else: see `inside.py`.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import stat
import struct
import sys

TYPE_CHECKING = False  # that of `typing` would have to be imported
if TYPE_CHECKING:
    from typing import Any

_NEEDED = 6  # Landlock's version that keeps signals in
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # landlock_create_ruleset, _add_rule, _restrict_self
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1, 2, 4, 8
_EVERYTHING = (1 << 16) - 1  # all that can be done to files, as of version 5
_TCP, _ABSTRACT_SOCKETS_AND_SIGNALS = 3, 3
_DIE_WITH_PARENT, _SECCOMP, _NO_NEW_PRIVILEGES = 1, 22, 38  # PR_SET_…
_SIGKILL = 9
_FILTER = 2  # SECCOMP_MODE_FILTER
_CAPABILITIES = 0x20080522  # version 3 of their structure

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Confine, then run."""
    calls, *readable = sys.argv[1:]
    _must(_libc.prctl, _DIE_WITH_PARENT, _SIGKILL, 0, 0, 0)
    _must(_libc.prctl, _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _must(_libc.capset, struct.pack("Ii", _CAPABILITIES, 0), bytes(24))
    _restrict_files(readable)
    _restrict_calls(bytes.fromhex(calls))
    exec(marshal.load(sys.stdin.buffer), {"__name__": "__main__"})


def _restrict_files(readable: list[str]) -> None:
    version = _libc.syscall(_CREATE, None, 0, 1)
    if version < _NEEDED:
        sys.exit(f"Landlock's version is {max(version, 0)} here, {_NEEDED} is needed")
    rights = struct.pack("QQQ", _EVERYTHING, _TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)
    rules = _must(_libc.syscall, _CREATE, rights, len(rights), 0)
    for path in readable:
        _allow(rules, path, _EXECUTE | _READ_FILE | _READ_DIRECTORY)
    _allow(rules, os.devnull, _READ_FILE | _WRITE_FILE)
    _must(_libc.syscall, _RESTRICT, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not stat.S_ISDIR(os.fstat(place).st_mode):
        rights &= ~_READ_DIRECTORY  # of which the kernel will not hear for a file
    _must(_libc.syscall, _ADD, rules, 1, struct.pack("=Qi", rights, place), 0)
    os.close(place)


def _restrict_calls(calls: bytes) -> None:
    instructions = ctypes.create_string_buffer(calls, len(calls))
    header = struct.pack("HP", len(calls) // 8, ctypes.addressof(instructions))
    _must(_libc.prctl, _SECCOMP, _FILTER, header, 0, 0)


def _must(function: Any, *arguments: int | bytes) -> int:
    """Call C; numbers as wide as a register, for these functions take variable arguments."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(function(*wide))
    if result < 0:
        sys.exit(f"{function.__name__}{arguments}: {os.strerror(ctypes.get_errno())}")
    return result


if __name__ == "__main__":
    main()
