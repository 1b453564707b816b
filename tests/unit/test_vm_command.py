"""`nightschool vm`: what people see of a program, and of a file that is none."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import handmade
import pytest
from stand_in import StandIn, piece, stream

from pipeline import vm
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, NightschoolError, UsageError

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "docs" / "examples" / "vm").glob("*.svm"))
WRONG, RIGHT = 'PUSH #7\nADD\nSTORE "total"', 'PUSH #7\nPUSH #2\nADD\nPUSH #3\nMUL\nSTORE "total"'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return handmade.make_settings(tmp_path)


@pytest.fixture
def model() -> Iterator[StandIn]:
    """Writes a program that fails, then one that is right."""

    def behaviour(handler: BaseHTTPRequestHandler, number: int) -> None:
        stream(handler, [piece(f"```\n{WRONG if number == 1 else RIGHT}\n```", "stop")])

    stand_in = StandIn()
    stand_in.behaviour = behaviour
    yield stand_in
    stand_in.stop()


def write(settings: Settings, source: str | bytes) -> Path:
    file = settings.home / "program.svm"
    file.write_bytes(source.encode() if isinstance(source, str) else source)
    return file


def traced(settings: Settings, source: str, *limits: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    return steps, vm.trace(settings, write(settings, source), list(limits), steps.append)


def test_a_file_that_is_too_long_names_the_commands_that_take_more(settings: Settings):
    file = write(settings, ";" * 1_000_001)
    for command in (lambda: vm.check(file), lambda: vm.run(settings, file, [])):
        with pytest.raises(BadRecordError, match="has more than") as raised:
            command()
        assert "`vm run` and `vm trace`" in raised.value.hint


@pytest.mark.parametrize("file", EXAMPLES, ids=[each.stem for each in EXAMPLES])
def test_an_example_does_what_its_head_says(tmp_path: Path, model: StandIn, file: Path):
    (expected,) = [line for line in file.read_text().splitlines() if line.startswith("; expected: ")]
    asked = {"order": "openai", "openai_url": model.url, "openai_model": "their-model"}
    found = vm.run(handmade.make_settings(tmp_path, providers=asked), file, [])
    assert {name: found[name] for name in ("memory", "output", "stack")} == json.loads(expected[12:])
    assert model.asked == found.get("model_calls", 0) == (2 if "LLMGEN" in file.read_text() else 0)
    assert vm.check(file)["notes"] == []


def test_there_are_examples():
    assert len(EXAMPLES) >= 8


def test_a_trace_shows_line_instruction_stack_changed_memory_and_output_of_every_step(settings: Settings):
    steps, result = traced(settings, '; three\nPUSH #3\nDUP\nSTORE "x"\nPRINT')
    assert [(each["line"], each["instruction"], each["stack"], each["memory"], each["output"]) for each in steps] == [
        (2, "PUSH #3", [3], {}, []),
        (3, "DUP", [3, 3], {}, []),
        (4, 'STORE "x"', [3], {"x": 3}, []),
        (5, "PRINT", [], {}, ["3"]),
    ]
    assert result == {"stack": [], "memory": {"x": 3}, "output": ["3"], "steps": 4}


def test_a_trace_says_which_steps_belong_to_code_that_the_program_runs(settings: Settings):
    steps, _ = traced(settings, 'PUSH "PUSH #1\\nPOP"\nEXEC\nPOP')
    assert [(each["line"], each["inside"]) for each in steps] == [(1, 0), (2, 1), (1, 1), (2, 1), (3, 0)]


def test_a_trace_is_bounded_in_length_and_width(settings: Settings):
    source = 'PUSH "a"\nPUSH #9999\nREPEAT\nSTORE "long"\n' + 'LOAD "long"\n' * 50 + "again:\nJMP again"
    steps: list[dict[str, Any]] = []
    with pytest.raises(BadRecordError, match="more than 5000 steps"):
        vm.trace(settings, write(settings, source), ["steps=5000"], steps.append)
    assert len(steps) == vm.SHOWN_STEPS
    assert max(len(json.dumps(each)) for each in steps) < 2000
    assert steps[-1]["stack_size"] == 50


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("HALT", []),
        ("JMP end\nADD\nend:", ["line 2: ADD is never reached"]),
        ('LOAD "x"', ["line 1: nothing is ever stored under 'x'"]),
        ('LOAD "x"\nPUSH "x"\nPUSH #1\nSTOREI', []),
        ("spare:\nHALT", ["label 'spare' is never used"]),
    ],
)
def test_check_notes_what_is_certainly_odd(settings: Settings, source: str, expected: list[str]):
    assert vm.check(write(settings, source))["notes"] == expected


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"PUSH #1\n\xff", BadRecordError, "is no text: byte 8 is not UTF-8"),
        (b"\x7fELF\0\0", BadRecordError, "zero bytes"),
        (b";" * 1_000_001, BadRecordError, "more than 1000000 bytes"),
        (b"PUSH #1\nFLY", BadRecordError, "program.svm line 2: syntax error: unknown instruction 'FLY'"),
        (b"ADD", BadRecordError, "program.svm line 1: stack error: ADD on an empty stack"),
    ],
)
def test_a_file_that_is_no_program_is_one_clear_error(
    settings: Settings, content: bytes, error: type[NightschoolError], said: str
):
    with pytest.raises(error) as caught:
        vm.run(settings, write(settings, content), [])
    assert said in str(caught.value)
    assert caught.value.hint


def test_what_never_ends_is_not_opened(settings: Settings):
    pipe = settings.home / "pipe"
    os.mkfifo(pipe)
    for file in (pipe, Path("/dev/zero"), settings.home):
        with pytest.raises(UsageError, match="not a regular file"):
            vm.check(file)
    with pytest.raises(UsageError, match="No such file"):
        vm.check(settings.home / "missing.svm")


def test_a_byte_order_mark_is_no_part_of_a_program(settings: Settings):
    assert vm.run(settings, write(settings, "\ufeffPUSH #1"), [])["stack"] == [1]


@pytest.mark.parametrize("limit", ["step=5", "steps", "steps=many", "steps=-1", "steps=1000000001", "steps=²"])
def test_a_limit_that_there_is_not_is_a_usage_error(settings: Settings, limit: str):
    with pytest.raises(UsageError) as caught:
        vm.run(settings, write(settings, "HALT"), [limit])
    assert caught.value.hint


def test_limits_of_the_command_line_count(settings: Settings):
    file = write(settings, "PUSH #1\n" * 101)
    with pytest.raises(BadRecordError, match="line 101: limit error"):
        vm.run(settings, file, [])
    assert len(vm.run(settings, file, ["stack=101", "call-depth=3"])["stack"]) == 101


def said(home: Path, source: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--home", str(home), "vm", *arguments, "-"],
        input=source,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_commands_read_the_standard_input_and_speak_json(tmp_path: Path):
    source = 'PUSH "\\t"\nSTORE "x"\nspare:'
    assert json.loads(said(tmp_path, source, "run", "--json"))["memory"] == {"x": "\t"}
    lines = [json.loads(line) for line in said(tmp_path, source, "trace", "--json").splitlines()]
    assert [line.get("step") for line in lines] == [1, 2, None]
    assert lines[-1]["ended"]
    assert "assembles: 2 instructions, 1 labels\nnote: label 'spare' is never used" in said(tmp_path, source, "check")


def test_a_trace_lets_no_control_character_through(tmp_path: Path):
    shown = said(tmp_path, 'PUSH "\x1b[2J"\nSTORE "\x1b[2J"', "trace")
    assert "\x1b" not in shown
    assert r'STORE "\x1b[2J"' in shown
