"""What code in a sandbox cannot do. Where a mechanism does not work, only that nothing is run then."""

import contextlib
import os
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machines import CHECK, with_sandbox, without_bubblewrap

from benchmarks import hostile
from pipeline.backends.checks.run import judge, obstacle
from pipeline.backends.sandboxes import choice, system_calls
from pipeline.backends.sandboxes.bubblewrap import Bubblewrap
from pipeline.backends.sandboxes.interface import Limits, Sandbox, SandboxError
from pipeline.backends.sandboxes.landlock import Landlock
from pipeline.commands.common import Shared, current_settings
from pipeline.lib import sections

LIMITS = Limits(processor_seconds=2, seconds=2, memory_mb=128, disk_mb=4, output_kb=1024)
MECHANISMS: dict[str, Sandbox] = {"bubblewrap": Bubblewrap(LIMITS), "landlock": Landlock(LIMITS)}
HOSTILE = {**hostile.CERTAIN, **hostile.UNCERTAIN}
NOTHING = {"answer": "", "function": None, "cases": [{"stdin": ""}]}


@pytest.fixture(scope="session", params=MECHANISMS)
def mechanism(request: pytest.FixtureRequest) -> str:
    """One that works on this machine."""
    try:
        MECHANISMS[request.param].run(NOTHING)
    except SandboxError as error:
        pytest.skip(f"{request.param} does not work here, so only the refusal is tested: {error}")
    return str(request.param)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with hostile.world(tmp_path) as facts:
        yield facts


@pytest.fixture
def no_bubblewrap(tmp_path: Path) -> Iterator[Path]:
    with without_bubblewrap(tmp_path) as programs:
        yield programs


def test_there_are_more_than_fifty_hostile_programs():
    assert len(HOSTILE) > 50
    assert len(hostile.CERTAIN) > 40


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_is_stopped(name: str, mechanism: str, world: dict[str, Any]):
    assert not hostile.succeeds_inside(HOSTILE[name], world, MECHANISMS[mechanism])


@pytest.mark.parametrize("name", hostile.CERTAIN)
def test_the_same_program_succeeds_without_a_sandbox(name: str, world: dict[str, Any]):
    assert hostile.succeeds_outside(hostile.CERTAIN[name], world)


def test_a_harmless_program_succeeds(mechanism: str, world: dict[str, Any]):
    assert hostile.succeeds_inside("pass", world, MECHANISMS[mechanism])


def test_asyncio_works(mechanism: str, world: dict[str, Any]):
    waits = "import asyncio\nassert asyncio.run(asyncio.sleep(0.01, 4)) == 4"
    assert hostile.succeeds_inside(waits, world, MECHANISMS[mechanism])


def test_there_is_room_for_small_files_in_bubblewrap_only(mechanism: str, world: dict[str, Any]):
    writes = "open(new(), 'wb').write(bytes(1 << 20))"
    assert hostile.succeeds_inside(writes, world, MECHANISMS[mechanism]) == (mechanism == "bubblewrap")


def test_nothing_is_left_running_when_the_time_is_over(mechanism: str):
    brief = type(MECHANISMS[mechanism])(replace(LIMITS, seconds=2))
    others = descendants(os.getpid())  # of earlier tests
    with ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        running = pool.submit(
            brief.run, {**NOTHING, "answer": "import os, time\nos.close(1)\nwhile True: time.sleep(1)"}
        )
        time.sleep(1)
        started = descendants(os.getpid()) - others
        assert running.result().stopped == "ran longer than 2 s"
    assert time.monotonic() - begun < 10
    assert started
    while alive := started & parents().keys():
        assert time.monotonic() - begun < 10, alive


def descendants(pid: int) -> set[int]:
    """Processes that a process has started, and those that these have."""
    known, found = parents(), {pid}
    while more := {child for child, parent in known.items() if parent in found} - found:
        found |= more
    return found - {pid}


def parents() -> dict[int, int]:
    """Of every process that is not dead (a dead one may wait for its parent to notice)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found[int(path.parent.name)] = int(parent)
    return found


def test_limits_are_those_of_the_settings_that_a_command_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Shared, "home", tmp_path)
    monkeypatch.setattr(Shared, "flags", {}, raising=False)
    talks = f"def f(x): return '{'x' * 2000}'"
    with with_sandbox():
        mechanism = current_mechanism()
        assert judge(talks, CHECK).error == "wrong in case 1"
        (tmp_path / "nightschool.toml").write_text(f"[sandbox]\nmechanism = '{mechanism}'\noutput_kb = 1\n")
        current_settings()
        assert judge(talks, CHECK).error == "said more than 1 KiB"


def current_mechanism() -> str:
    return "landlock" if isinstance(choice.chosen(), Landlock) else "bubblewrap"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_decides_as_written_on_every_machine(machine: str):
    identity = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    allowed, refused, unknown, killed = 0x7FFF0000, 0x50001, 0x50026, 0x80000000
    known = {"x86_64": {"read": 0, "execve": 59, "exit_group": 231}, "aarch64": {"read": 63, "execve": 221}}[machine]
    limits = {"x86_64": 302, "aarch64": 261}[machine]
    calls = system_calls.program(machine)
    assert {decide(calls, identity, number) for number in known.values()} == {allowed}
    assert {decide(calls, identity, number) for number in system_calls.denied(machine)} == {refused}
    assert {decide(calls, identity, number) for number in (424, 425, 434, 435, 500, 0x40000027)} == {unknown}
    assert (decide(calls, identity, limits, 0), decide(calls, identity, limits, 7)) == (allowed, refused)
    assert decide(calls, 0x40000003, 0) == killed


def decide(calls: bytes, identity: int, number: int, argument: int = 0) -> int:
    """What the kernel would do: runs a filter's few kinds of instructions."""
    facts, at, held = {0: number, 4: identity, 16: argument}, 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", calls, 8 * at)
        at += 1
        match code:
            case 0x20:
                held = facts[value]
            case 0x15:
                at += if_true if held == value else if_false
            case 0x35:
                at += if_true if held >= value else if_false
            case 0x06:
                return value


def test_an_unknown_machine_has_no_filter_and_runs_nothing():
    with pytest.raises(SandboxError, match="no system call filter for sparc"):
        system_calls.program("sparc")


def test_without_bubblewrap_nothing_is_run_and_the_answer_is_not_called_wrong(no_bubblewrap: Path, tmp_path: Path):
    proof = tmp_path / "proof"
    with pytest.raises(SandboxError, match="bubblewrap is not installed") as raised:
        judge(f"open({str(proof)!r}, 'w')", CHECK)
    assert "apt install bubblewrap" in raised.value.hint
    assert "is not installed" in str(obstacle(CHECK))
    assert obstacle({"type": "text", "equals": "x"}) is None
    assert not proof.exists()


@pytest.mark.parametrize(
    "script",
    [
        "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1",
        "echo 'bwrap: Unknown option --disable-userns' >&2; exit 1",
        "echo '[[\"value\", 4]]'",
        "exit 0",
    ],
)
def test_a_bubblewrap_that_does_not_come_up_is_no_failure_of_the_answer(no_bubblewrap: Path, script: str):
    program = no_bubblewrap / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(SandboxError, match=r"Permission denied|Unknown option|silence"):
        judge("def f(x): return 4", CHECK)
    assert obstacle(CHECK) is not None


def test_landlock_is_used_only_where_the_settings_say_so(no_bubblewrap: Path):
    with pytest.raises(SandboxError, match="bubblewrap"):
        judge("def f(x): return 4", CHECK)
    choice.use(sections.Sandbox(mechanism="landlock"))
    problem = obstacle(CHECK)
    if problem is None:
        assert judge("def f(x): return 4", CHECK).passed is True
    else:
        assert "landlock" in str(problem)
