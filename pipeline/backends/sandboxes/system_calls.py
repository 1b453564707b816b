"""Which system calls code in a sandbox may not make: a filter for seccomp.

Namespaces and Landlock leave gaps that this closes: AF_VSOCK and keyrings belong to no namespace, root's processes are
not counted, Landlock does not guard modes and owners. One process with one thread is also what makes a limit for a
process a limit for the program. Numbers from 424 on are the same on all machines, and what is newer than that is "not
implemented" here: libc then does without.
"""

import errno
import platform
import struct
from typing import NamedTuple

from pipeline.backends.sandboxes.interface import SandboxError

# Name, its number on x86_64, on aarch64 (dash: not there).
_DENIED = {
    "a second process or thread": "fork 57 -, vfork 58 -, clone 56 220",
    "the network, and what else sockets reach": "socket 41 198",
    "other processes": """ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272,
        setpriority 141 140, ioprio_set 251 30, sched_setaffinity 203 122, sched_setscheduler 144 119,
        sched_setparam 142 118, sched_setattr 314 274""",
    "keys": "add_key 248 217, request_key 249 218, keyctl 250 219",
    "another view of the machine": """mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, unshare 272 97,
        setns 308 268, name_to_handle_at 303 264, open_by_handle_at 304 265, personality 135 92""",
    "modes, owners, times and attributes of files": """chmod 90 -, fchmod 91 52, fchmodat 268 53, chown 92 -,
        lchown 94 -, fchown 93 55, fchownat 260 54, utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88,
        setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14, lremovexattr 198 15,
        fremovexattr 199 16""",
    # An open file on its way to another socket counts as closed. Pairs of sockets themselves stay: asyncio needs one.
    "memory that no limit counts": """shmget 29 194, msgget 68 186, semget 64 190, mq_open 240 180,
        sendmsg 46 211, sendmmsg 307 269""",
    "rarely used parts of the kernel": """bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, io_setup 206 0,
        fanotify_init 300 262, modify_ldt 154 -, iopl 172 -, ioperm 173 -, mbind 237 235, set_mempolicy 238 237,
        move_pages 279 239, migrate_pages 256 238""",
    "the whole machine": """init_module 175 105, finit_module 313 273, delete_module 176 106, kexec_load 246 104,
        kexec_file_load 320 294, reboot 169 142, swapon 167 224, swapoff 168 225, acct 163 89, quotactl 179 60,
        syslog 103 116, vhangup 153 58, settimeofday 164 170, clock_settime 227 112, adjtimex 159 171,
        clock_adjtime 305 266, sethostname 170 161, setdomainname 171 162""",
}


class _Machine(NamedTuple):
    column: int  # above
    identity: int  # AUDIT_ARCH_…
    prlimit64: int  # which may only be asked about the process itself


_MACHINES = {"x86_64": _Machine(1, 0xC000003E, 302), "aarch64": _Machine(2, 0xC00000B7, 261)}
_FIRST_NEW = 424
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF: ld [k], jeq, jge, ret
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def denied(machine: str) -> list[int]:
    """The numbers of the calls that fail with EPERM."""
    column = _MACHINES[machine].column
    entries = [entry.split() for group in _DENIED.values() for entry in group.split(",")]
    return sorted(int(entry[column]) for entry in entries if entry[column] != "-")


def program(machine: str = platform.machine()) -> bytes:
    """The filter as an array of `struct sock_filter`, for bubblewrap's --seccomp or prctl.

    Raises:
        SandboxError: an unknown kind of machine.
    """
    if machine not in _MACHINES:
        known = " or ".join(_MACHINES)
        raise SandboxError(f"no system call filter for {machine}", f"checks that run code need {known}")
    numbers, (_, identity, limits_of_others) = denied(machine), _MACHINES[machine]
    allow = len(numbers) + 8  # the place of the first of three endings
    refuse, unknown = allow + 1, allow + 2
    return b"".join(
        [
            _instruction(_LOAD, _MACHINE),
            _instruction(_EQUAL, identity, 1, 0),
            _instruction(_RETURN, _KILL),
            _instruction(_LOAD, _NUMBER),
            # The numbers of x32, an old second set on x86_64, are all large too.
            _instruction(_AT_LEAST, _FIRST_NEW, unknown - 5, 0),
            *(_instruction(_EQUAL, number, refuse - at - 1, 0) for at, number in enumerate(numbers, start=5)),
            _instruction(_EQUAL, limits_of_others, 0, 2),
            _instruction(_LOAD, _FIRST_ARGUMENT),
            _instruction(_EQUAL, 0, 0, 1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _ERROR | errno.EPERM),
            _instruction(_RETURN, _ERROR | errno.ENOSYS),
        ]
    )


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
