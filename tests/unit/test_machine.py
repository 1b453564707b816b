import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evolution.assembler import Instruction, Program, assemble
from pipeline.evolution.faults import VmError
from pipeline.evolution.machine import Limits, run
from pipeline.starter import tasks


def category_and_line(source: str, limits: Limits | None = None) -> tuple[str, int]:
    with pytest.raises(VmError) as caught:
        run(source, limits)
    assert f"line {caught.value.line}: {caught.value.category} error: " in str(caught.value)
    return caught.value.category, caught.value.line


@settings(max_examples=100)
@given(st.integers(), st.integers(0, 12))
def test_the_program_of_a_task_leaves_the_value_of_its_expression(seed: int, operations: int):
    task = tasks.draw(random.Random(seed), operations)
    state = run(task.program)
    assert state.memory == {task.name: task.value}
    assert state.halted
    assert state.stack == []


@settings(max_examples=100)
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
        "MIN": min(left, right),
        "MAX": max(left, right),
        **({"DIV": left // right, "MOD": left % right} if right else {}),
    }
    for operation, value in expected.items():
        assert run(f"PUSH #{left}\nPUSH #{right}\n{operation}").stack == [value], operation
    for operation, value in {"NEG": -left, "ABS": abs(left), "NOT": int(not left)}.items():
        assert run(f"PUSH #{left}\n{operation}").stack == [value], operation


def test_stack_and_text_operations_do_what_their_names_say():
    assert run("PUSH #1\nPUSH #2\nSWAP").stack == [2, 1]
    assert run("PUSH #1\nPUSH #2\nOVER").stack == [1, 2, 1]
    assert run("PUSH #1\nPUSH #2\nPUSH #3\nROT\nDEPTH").stack == [2, 3, 1, 3]
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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('PUSH "ab"\nPUSH #999999999999999999\nREPEAT', ("limit", 3)),
        ('PUSH ""\nPUSH #999999999999999999\nREPEAT\nADD', ("stack", 4)),
        ('PUSH "ab"\nPUSH #-1\nREPEAT', ("arithmetic", 3)),
        ('PUSH "ab"\nPUSH #-1\nPUSH #1\nSLICE', ("arithmetic", 4)),
        ('PUSH "ab"\nPUSH #0\nPUSH #-1\nSLICE', ("arithmetic", 4)),
        ("PUSH #55296\nCHAR", ("arithmetic", 2)),  # half of a surrogate pair
        ("PUSH #1114112\nCHAR", ("arithmetic", 2)),
        ('PUSH "ab"\nORD', ("type", 2)),
        ('PUSH "1_000"\nNUMBER', ("type", 2)),
        ('PUSH "٣"\nNUMBER', ("type", 2)),
        ('PUSH "9"\nPUSH #5000\nREPEAT\nNUMBER', ("arithmetic", 4)),
        ("PUSH #7\nUPPER", ("type", 2)),
        ('PUSH #1\nPUSH "b"\nLOADI', ("memory", 3)),
        ("PUSH #1\nPUSH #2\nSTOREI", ("type", 3)),
        ("PUSH #7\nEXEC", ("type", 2)),
    ],
)
def test_what_cannot_be_computed_is_an_error_of_its_category_at_its_line(source: str, expected: tuple[str, int]):
    assert category_and_line(source) == expected


@settings(max_examples=100)
@given(
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"\\')),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_text_operations_are_pythons(text: str, start: int, length: int):
    def computed(*operations: str) -> list[int | str]:
        return run("\n".join([f'PUSH "{text}"', *operations])).stack

    assert computed("UPPER") == [text.upper()]
    assert computed("LOWER") == [text.lower()]
    assert computed("REVERSE") == [text[::-1]]
    assert computed(f"PUSH #{length}", "REPEAT") == [text * length]
    assert computed(f"PUSH #{start}", f"PUSH #{length}", "SLICE") == [text[start : start + length]]
    assert computed("DUP", f"PUSH #{start}", f"PUSH #{length}", "SLICE", "FIND") == [text.find(text[start:][:length])]


@settings(max_examples=100)
@given(st.integers(-(2**63), 2**63))
def test_an_integer_survives_as_text(value: int):
    assert run(f'PUSH "{value}"\nNUMBER').stack == [value]
    assert run(f'PUSH "{value}"\nNUMBER\nTEXT').stack == [str(value)]


@pytest.mark.parametrize("inside", ["\r", "\f", "\x1e", "\x85", "\u2028"])
def test_only_a_new_line_ends_a_line(inside: str):
    source = f'PUSH "a{inside}b"\r\nSTORE "x"\r\n\r\nADD\r\n'
    assert run(source.removesuffix("ADD\r\n")).memory == {"x": f"a{inside}b"}
    assert category_and_line(source) == ("stack", 4)


def test_a_number_has_the_digits_0_to_9():
    assert category_and_line("PUSH #١٢") == ("syntax", 1)


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
