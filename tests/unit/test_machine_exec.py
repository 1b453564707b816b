"""EXEC: code that a program runs."""

import pytest

from pipeline.evolution.assembler import Instruction, written
from pipeline.evolution.faults import VmError
from pipeline.evolution.machine import Limits, run


def executing(code: str, before: str = "", after: str = "") -> str:
    return "\n".join([before, written(Instruction("PUSH", code, 1)), "EXEC", after])


def test_exec_shares_memory_and_output_and_has_a_stack_and_labels_of_its_own():
    code = 'LOAD "x"\nDEPTH\nSTORE "depth"\nPRINT\nPUSH #2\nSTORE "x"\nJMP end\nADD\nend:'
    state = run(executing(code, 'PUSH #1\nSTORE "x"\nPUSH #8', "end:"))
    assert (state.stack, state.memory, state.output) == ([8, ""], {"x": 2, "depth": 1}, ["1"])


def test_halt_and_the_end_of_a_routine_end_the_code_and_not_the_program():
    for code in ("HALT", "CALL inside\ninside:\nHALT", "CALL inside\ninside:"):
        assert run(executing(code, after='PUSH #1\nSTORE "after"')).memory == {"after": 1}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("FLY", "line 1: syntax error: unknown instruction 'FLY'"),
        ("\nADD", "line 2: stack error: ADD on an empty stack"),
        ("RET", "line 1: stack error: RET without CALL"),
        ('LLMGEN "x"', "line 1: model error: there is no model to ask here"),
        ("again:\nCALL again", "line 2: limit error: more than 20 nested calls"),
    ],
)
def test_code_that_fails_leaves_the_words_of_its_error_and_the_program_goes_on(code: str, said: str):
    state = run("CALL routine\nHALT\nroutine:" + executing(code, after="RET"))
    assert state.stack == [said]


def test_exec_has_no_steps_and_no_depth_of_its_own():
    endless = executing("again:\nJMP again")
    with pytest.raises(VmError, match="line 4: limit error: more than 50 steps"):
        run(f"{endless}POP", Limits(steps=50))
    assert run(executing('LOAD "c"\nEXEC', 'PUSH "LOAD \\"c\\"\\nEXEC"\nSTORE "c"')).steps < 100
    with pytest.raises(VmError, match="line 3: limit error: more than 40 steps"):
        run(executing("\n" * 50), Limits(steps=40))
    assert run(executing("\n" * 30), Limits(steps=40)).steps == 2 + 30
