"""Whatever is written, the machine ends: in a state within its limits, or in a VmError; and in time."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evolution.assembler import Instruction, assemble
from pipeline.evolution.faults import CATEGORIES, VmError
from pipeline.evolution.machine import Limits, Machine, State, run
from pipeline.evolution.operations import OPERATIONS


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_arbitrary_text_ends_in_a_state_or_a_vm_error(source: str):
    ends_well(source)


NAMES = {
    kind: [each.name for each in OPERATIONS.values() if each.operand == kind]
    for kind in ("none", "value", "name", "text", "label")
}
TEXTS = ["a", "b", "0", "-12", "x" * 3000, "ß", "€", "again:\nJMP again", "PUSH #1\nSTOREI", 'LOAD "a"\nEXEC', "RET"]
QUOTED = [text.replace('"', '\\"').replace("\n", "\\n") for text in TEXTS]
LINES = st.one_of(
    st.sampled_from(NAMES["none"]),
    st.one_of(st.integers(-5, 70), st.integers(-(10**18) + 1, 10**18 - 1)).map("PUSH #{}".format),
    st.sampled_from(QUOTED).map('PUSH "{}"'.format),
    st.tuples(st.sampled_from(NAMES["name"] + NAMES["text"]), st.sampled_from("ab")).map('{0[0]} "{0[1]}"'.format),
    st.tuples(st.sampled_from(NAMES["label"]), st.sampled_from(["top", "end"])).map(" ".join),
)
LIMITS = st.builds(
    Limits,
    stack=st.integers(0, 20),
    memory=st.integers(0, 3),
    steps=st.integers(0, 300),
    call_depth=st.integers(0, 4),
    text=st.integers(0, 200),
    integer=st.integers(0, 2**70),
    model_calls=st.integers(0, 2),
)


USUAL = Limits()


class Echo:
    """Writes what it is asked for."""

    def write(self, prompt: str) -> str:
        return prompt


@settings(max_examples=300)
@given(st.lists(LINES, max_size=40), st.one_of(st.just(USUAL), LIMITS), st.sampled_from([None, Echo()]))
def test_arbitrary_instruction_sequences_end_in_a_state_or_a_vm_error(
    lines: list[str], limits: Limits, writer: Echo | None
):
    source = "\n".join(["top:", *lines, "end:"])
    assert len(assemble(source).instructions) == len(lines)
    ends_well(source, limits, writer)


def ends_well(source: str, limits: Limits = USUAL, writer: Echo | None = None) -> None:
    most_on_a_stack = 0

    def watch(_: Instruction, machine: Machine) -> None:
        nonlocal most_on_a_stack
        most_on_a_stack = max(most_on_a_stack, len(machine.stack))
        keeps(machine.state, limits)

    try:
        state = run(source, limits, writer, watch)
    except VmError as error:
        assert error.category in CATEGORIES
        assert 1 <= error.line <= len(source.splitlines())
        return
    finally:
        assert most_on_a_stack <= limits.stack
    assert state.halted
    keeps(state, limits)


def keeps(state: State, limits: Limits) -> None:
    assert state.steps <= limits.steps
    assert len(state.stack) <= limits.stack
    assert len(state.memory) <= limits.memory
    assert state.model_calls <= limits.model_calls
    values = [*state.stack, *state.memory.values()]
    assert all(abs(each) <= limits.integer for each in values if isinstance(each, int))
    assert all(len(each) <= limits.text for each in values if isinstance(each, str))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "line",
    [
        " " * 300_000 + "x",
        "PUSH" + " " * 300_000 + "?",
        "A" * 300_000,
        "_" * 300_000 + "!",
        'PUSH "' + "\\" * 300_001,
        'PUSH "' + '\\";' * 100_000 + "?",
        'PUSH "' + ('\\"' + " " * 50) * 6_000 + "?",
        'PUSH "' + "\\n" * 150_000,
        "PUSH #" + "9" * 300_000,
        "PUSH " + '"' * 300_000,
    ],
)
def test_a_line_of_any_length_is_read_in_time(line: str):
    ends_well(line)


def test_a_text_is_refused_before_it_is_made():
    tracemalloc.start()
    try:
        for source in ('PUSH "abcdefgh"\nPUSH #100000000\nREPEAT', 'PUSH "a"\nPUSH #9000\nREPEAT\nDUP\nCONCAT'):
            with pytest.raises(VmError, match="limit error"):
                run(source)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("limits", [{"steps": -1}, {"stack": 10**9 + 1}, {"integer": 10**4000}])
def test_limits_beyond_any_sense_are_refused(limits: dict[str, int]):
    with pytest.raises(ValueError, match="the limit"):
        Limits(**limits)


def test_a_program_longer_than_allowed_is_refused_unread():
    with pytest.raises(VmError, match="longer than 9 characters"):
        run("PUSH #1\nFLY", Limits(source=9))
