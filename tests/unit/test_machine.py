import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evolution.assembler import Instruction, Program, assemble
from pipeline.evolution.faults import VmError
from pipeline.evolution.machine import Limits, State, run
from pipeline.evolution.operations import OPERATIONS
from pipeline.starter import tasks


def category_and_line(source: str, limits: Limits | None = None) -> tuple[str, int]:
    with pytest.raises(VmError) as caught:
        run(source, limits)
    assert f"line {caught.value.line}: {caught.value.category} error: " in str(caught.value)
    return caught.value.category, caught.value.line


@settings(max_examples=100, deadline=None)
@given(st.integers(), st.integers(0, 12))
def test_the_program_of_a_task_leaves_the_value_of_its_expression(seed: int, operations: int):
    task = tasks.draw(random.Random(seed), operations)
    state = run(tasks.program(task))
    assert state.memory == {task.name: tasks.value(task.expression)}
    assert state.halted
    assert state.stack == []


@settings(max_examples=100, deadline=None)
@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_every_operation_on_two_integers_is_pythons(left: int, right: int):
    expected = {
        "ADD": left + right,
        "SUB": left - right,
        "MUL": left * right,
        "EQ": int(left == right),
        "NE": int(left != right),
        "LT": int(left < right),
        "LE": int(left <= right),
        "GT": int(left > right),
        "GE": int(left >= right),
        "AND": int(bool(left and right)),
        "OR": int(bool(left or right)),
        **({"DIV": left // right, "MOD": left % right} if right else {}),
    }
    for operation, value in expected.items():
        assert run(f"PUSH #{left}\nPUSH #{right}\n{operation}").stack == [value], operation


def test_stack_and_text_operations_do_what_their_names_say():
    assert run("PUSH #1\nPUSH #2\nSWAP").stack == [2, 1]
    assert run("PUSH #1\nPUSH #2\nOVER").stack == [1, 2, 1]
    assert run("PUSH #1\nDUP\nNEG").stack == [1, -1]
    assert run("PUSH #0\nNOT\nPUSH #5\nNOT\nPUSH #3\nPOP").stack == [1, 0]
    assert run('PUSH "a;b" ; not a comment before\nPUSH #7\nCONCAT\nDUP\nLENGTH\nSWAP\nPRINT').output == ["a;b7"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('PUSH "straße 7"\nUPPER', "STRASSE 7"),
        ('PUSH "AbC"\nLOWER', "abc"),
        ('PUSH "abc"\nREVERSE', "cba"),
        ('PUSH "ab"\nPUSH #3\nREPEAT', "ababab"),
        ('PUSH "ab"\nPUSH #0\nREPEAT', ""),
        ('PUSH "harvest"\nPUSH #3\nPUSH #2\nSLICE', "ve"),
        ('PUSH "harvest"\nPUSH #5\nPUSH #9\nSLICE', "st"),
        ('PUSH "harvest"\nPUSH #9\nPUSH #1\nSLICE', ""),
        ('PUSH "harvest"\nPUSH "v"\nFIND', 3),
        ('PUSH "harvest"\nPUSH "x"\nFIND', -1),
        ("PUSH #8364\nCHAR", "€"),
        ('PUSH "€"\nORD', 8364),
        ("PUSH #-12\nTEXT", "-12"),
        ('PUSH " -012 "\nNUMBER', -12),
        (r'PUSH "say \"a;b\" \\ \n \t" ; a comment with a " in it', 'say "a;b" \\ \n \t'),
        (r'PUSH "C:\dir\"', r"C:\dir" + "\\"),
    ],
)
def test_texts_are_computed_with(source: str, expected: int | str):
    assert run(source).stack == [expected]


def test_calls_return_and_loops_end():
    source = """
        PUSH #3
    again:
        DUP
        JZ done
        CALL count
        JMP again
    count:
        DUP
        PRINT
        PUSH #1
        SUB
        RET
    done:
        HALT
        PUSH #99
    """
    state = run(source)
    assert state.output == ["3", "2", "1"]
    assert state.stack == [0]
    assert state.halted


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("PUSH #1\nagain:\nDUP\nJMP again", ("limit", 3)),  # stack
        ("again:\nJMP again", ("limit", 2)),  # steps
        ('PUSH #1\nSTORE "a"\nPUSH #1\nSTORE "b"\nPUSH #1\nSTORE "c"', ("limit", 6)),  # memory
        ("again:\nCALL again", ("limit", 2)),  # call depth
        ("PUSH #9\nagain:\nDUP\nMUL\nJMP again", ("arithmetic", 4)),  # integer
        ('PUSH "0123456789"\nagain:\nDUP\nCONCAT\nJMP again', ("limit", 4)),  # text
        ("ADD", ("stack", 1)),
        ("PUSH #1\nRET", ("stack", 2)),
        ('PUSH #1\nPUSH "a"\nADD', ("type", 3)),
        ("PUSH #1\nPUSH #0\nDIV", ("arithmetic", 3)),
        ("PUSH #1\nPUSH #0\nMOD", ("arithmetic", 3)),
        ('\n\nLOAD "nothing"', ("memory", 3)),
    ],
)
def test_every_limit_and_failure_is_an_error_of_its_category_at_its_line(source: str, expected: tuple[str, int]):
    assert category_and_line(source, Limits(stack=10, memory=2, steps=200)) == expected


@pytest.mark.parametrize(
    ("limits", "source", "said"),
    [
        (Limits(stack=3), "again:\nPUSH #1\nJMP again", "more than 3 values on the stack"),
        (Limits(steps=3), "again:\nJMP again", "more than 3 steps"),
        (Limits(memory=1), 'PUSH #1\nSTORE "a"\nPUSH #1\nSTORE "b"', "more than 1 names in memory"),
        (Limits(call_depth=3), "again:\nCALL again", "more than 3 nested calls"),
        (Limits(integer=9), "PUSH #-10", "integer too large"),
        (Limits(text=3), 'PUSH "abcd"', "text longer than 3 characters"),
    ],
)
def test_every_limit_is_the_one_that_ends_its_program(limits: Limits, source: str, said: str):
    with pytest.raises(VmError, match=said):
        run(source, limits)


def test_limits_allow_exactly_what_they_say():
    assert len(run("PUSH #1\n" * 100).stack) == 100
    assert category_and_line("PUSH #1\n" * 101) == ("limit", 101)
    assert run("PUSH #1\nPOP\n" * 500).steps == 1000
    assert category_and_line("PUSH #1\nPOP\n" * 500 + "HALT") == ("limit", 1001)


@pytest.mark.parametrize(
    "bad",
    [
        "FLY",
        "push #1",
        "PUSH",
        "PUSH 1",
        "PUSH #1.5",
        "PUSH #" + "9" * 19,
        "ADD #1",
        "STORE total",
        'STORE "a',
        "JMP #1",
        "JMP nowhere",
        "here:",
        "```",
    ],
)
def test_assembler_errors_name_the_line(bad: str):
    assert category_and_line(f"; a comment\nhere:\n\nPUSH #1\n{bad}\nHALT") == ("syntax", 5)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_arbitrary_text_ends_in_a_state_or_a_vm_error(source: str):
    ends_well(source)


LINES = st.one_of(
    st.sampled_from([each.name for each in OPERATIONS.values() if each.operand == "none"]),
    st.integers(-(10**18) + 1, 10**18 - 1).map("PUSH #{}".format),
    st.sampled_from(["a", "b", "0", "x" * 3000]).map('PUSH "{}"'.format),
    st.tuples(st.sampled_from(["STORE", "LOAD"]), st.sampled_from("ab")).map('{0[0]} "{0[1]}"'.format),
    st.tuples(st.sampled_from(["JMP", "JZ", "JNZ", "CALL"]), st.sampled_from(["top", "end"])).map(" ".join),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES, max_size=40))
def test_arbitrary_instruction_sequences_end_in_a_state_or_a_vm_error(lines: list[str]):
    source = "\n".join(["top:", *lines, "end:"])
    assert len(assemble(source).instructions) == len(lines)
    ends_well(source)


def ends_well(source: str) -> None:
    limits = Limits()
    try:
        state = run(source, limits)
    except VmError as error:
        assert error.category in {"syntax", "type", "stack", "arithmetic", "limit", "memory"}
        assert 1 <= error.line <= len(source.splitlines())
        return
    assert isinstance(state, State)
    assert state.halted
    assert state.steps <= limits.steps
    assert len(state.stack) <= limits.stack
    assert len(state.memory) <= limits.memory
    assert all(abs(each) <= limits.integer for each in state.stack if isinstance(each, int))


def test_an_assembled_program_runs_like_its_text():
    source = 'PUSH #2\nPUSH #3\nMUL\nSTORE "x"'
    assert run(assemble(source)) == run(source)
    assert assemble(source) == Program(
        (
            Instruction("PUSH", 2, 1),
            Instruction("PUSH", 3, 2),
            Instruction("MUL", None, 3),
            Instruction("STORE", "x", 4),
        ),
        {},
    )
