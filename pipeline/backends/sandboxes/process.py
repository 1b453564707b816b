"""Starts a sandbox, listens to it no longer and to no more than agreed, and leaves nothing of it running."""

import marshal
import os
import select
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO

from pipeline.backends.sandboxes.inside import GREETING
from pipeline.backends.sandboxes.interface import Finished, Limits, SandboxError, Task

# The answer's hash seed is fixed, so that the same answer comes to the same result, whenever it is run.
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
FLAGS = ("-P", "-s", "-S", "-B", "-X", "utf8")  # of the interpreter: the standard library and nothing else
# What it runs: `inside.py`, compiled out here once; then that reads its task from the same place.
BEGINNING = "import marshal, sys; exec(marshal.load(sys.stdin.buffer))"
_PATIENCE = 5.0  # seconds for what was killed to be gone
_LONGEST_COMPLAINT = 500  # bytes
# More at a time than processors would make programs fail for being slow.
_places = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))


def interpreter() -> Path:
    """This Python itself, without the virtual environment around it."""
    return Path(sys.executable).resolve()


def library() -> Path:
    """Its standard library."""
    return Path(sysconfig.get_path("stdlib"))


def run(command: Sequence[str], task: Task, limits: Limits, descriptors: Sequence[int] = ()) -> Finished:
    """Give a sandbox its task and wait for it; every process of it is gone afterwards.

    Args:
        command: starts an interpreter with `BEGINNING` in the sandbox; when its process is killed, all of it dies.
        task: see `inside.py`.
        limits: seconds and output are kept from here, the others by `inside.py`.
        descriptors: open files that the command inherits.

    Raises:
        SandboxError: it did not come up; nothing was executed.
    """
    sizes = {
        "processor_seconds": limits.processor_seconds,
        "memory_bytes": limits.memory_mb << 20,
        "disk_bytes": limits.disk_mb << 20,
    }
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as complaints, _places:
        asked.write(_harness() + marshal.dumps({**task, "limits": sizes}))
        asked.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=descriptors,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"the sandbox cannot be started: {error}") from error
        with process:
            assert process.stdout is not None
            try:
                finished = _listen(process.stdout, limits)
            finally:
                process.kill()
                _gone(process.stdout)
        if not finished.said.startswith(GREETING):
            raise SandboxError(f"the sandbox did not start: {_complaint(complaints) or finished.stopped or 'silence'}")
    return Finished(finished.said.removeprefix(GREETING), finished.stopped)


@cache
def _harness() -> bytes:
    source = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")
    return marshal.dumps(compile(source, "inside.py", "exec", dont_inherit=True))


def _listen(output: IO[bytes], limits: Limits) -> Finished:
    """Until it has closed its output, and no longer or more than agreed."""
    deadline = time.monotonic() + limits.seconds
    ready, said = select.poll(), bytearray()
    ready.register(output, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if not ready.poll(left * 1000):
            continue
        piece = os.read(output.fileno(), 1 << 16)
        if not piece:
            return Finished(bytes(said))
        said += piece
        if len(said) > limits.output_kb << 10:
            return Finished(bytes(said), f"said more than {limits.output_kb} KiB")
    return Finished(bytes(said), f"ran longer than {limits.seconds:g} s")


def _gone(output: IO[bytes]) -> None:
    """Wait until nobody holds the other end any more: the command is dead, but what it started dies a moment later."""
    deadline, ready = time.monotonic() + _PATIENCE, select.poll()
    ready.register(output, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if ready.poll(left * 1000) and not os.read(output.fileno(), 1 << 16):
            return


def _complaint(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read(_LONGEST_COMPLAINT).decode("utf-8", "replace").strip()
