"""The table of operations says what the machine does: its stack effects, its errors, and the page that shows it."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evolution.assembler import Instruction, Program, assemble, written
from pipeline.evolution.faults import CATEGORIES, Value, VmError
from pipeline.evolution.machine import Limits, run
from pipeline.evolution.operations import OPERATIONS, Operation
from pipeline.evolution.reference import language, table

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "vm.md").read_text(encoding="utf-8")

# Small enough that every limit is met by one of the values, or by one of the stacks.
TIGHT = Limits(stack=4, memory=1, steps=30, call_depth=1, text=50, integer=200, model_calls=1)
VALUES: list[Value] = [0, -1, 3, 200, "a", "ßx" * 20, "İ" * 40, "999", "kept", 'LLMGEN "x"']
OPERANDS: dict[str, list[Value | None]] = {
    "none": [None],
    "value": [7, 201, "a", "a" * 51],
    "name": ["kept", "other"],
    "text": ["x"],
    "label": ["end"],
}
CONTEXTS = ([], ["CALL"], ["LLMGEN"])


class Model:
    """Writes by turns a program, nothing, and too late."""

    def __init__(self, turn: int) -> None:
        self.turn = turn

    def write(self, _: str) -> str:
        if self.turn == 2:
            raise TimeoutError("late")
        return ["HALT", ""][self.turn]


def after(
    operation: Operation, operand: Value | None, stack: tuple[Value, ...], before: list[str], turn: int
) -> tuple[Value, ...] | str | None:
    """What the operation made of a stack, or the kind of its error; none: the program ended before it."""
    program = [Instruction("PUSH", 0, 1), Instruction("STORE", "kept", 1)]
    if "CALL" in before:
        program.append(Instruction("CALL", "inside", 1))
    if "LLMGEN" in before:
        program += [Instruction("LLMGEN", "x", 1), Instruction("POP", None, 1)]
    labels = {"inside": len(program)}
    program += [Instruction("PUSH", value, 1) for value in stack]
    program.append(Instruction(operation.name, operand, 2))
    labels["end"] = len(program)
    try:
        return tuple(run(Program(tuple(program), labels), TIGHT, Model(turn)).stack)
    except VmError as error:
        return error.category if error.line == 2 else None


def outcomes(operation: Operation) -> list[tuple[tuple[Value, ...], tuple[Value, ...] | str]]:
    sizes = range(len(operation.takes) + 1)
    stacks = [stack for size in sizes for stack in itertools.product(VALUES, repeat=size)]
    stacks.append((3,) * TIGHT.stack)
    turns = range(3) if "LLM" in operation.name or "EVO" in operation.name else range(1)
    found = []
    for stack, operand, before, turn in itertools.product(stacks, OPERANDS[operation.operand], CONTEXTS, turns):
        result = after(operation, operand, stack, before, turn)
        if result is not None:
            found.append((stack, result))
    return found


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_an_operation_has_the_effect_and_exactly_the_errors_that_the_table_says(operation: Operation):
    errors = set()
    for stack, result in outcomes(operation):
        if isinstance(result, str):
            errors.add(result)
            continue
        if operation.name in ("HALT", "RET"):
            continue
        kept = stack[: len(stack) - len(operation.takes)]
        assert result[: len(kept)] == kept
        left = result[len(kept) :]
        assert len(left) == len(operation.leaves)
        assert all(kind is None or type(value) is kind for value, kind in zip(left, operation.leaves, strict=True))
    assert errors == set(operation.errors)


def test_every_kind_of_error_but_syntax_belongs_to_an_operation():
    assert {each for operation in OPERATIONS.values() for each in operation.errors} == set(CATEGORIES) - {"syntax"}


def test_the_page_shows_the_table_as_it_is():
    shown = PAGE.partition("<!-- operations")[2].partition("-->\n")[2].partition("\n<!-- end -->")[0]
    assert shown == table(), "put what `python -m pipeline.evolution.reference` prints into docs/vm.md"


def test_the_page_names_every_limit_with_its_default_and_every_kind_of_error():
    for name in Limits.__dataclass_fields__:
        assert f"\n| `{name}` | {getattr(Limits(), name)} | " in PAGE
    assert all(f"\n| {category} | " in PAGE for category in CATEGORIES)


def test_the_example_that_a_model_is_shown_runs():
    example = language().split("```")[1]
    assert run(example).memory["sum"] == 55


INSTRUCTIONS = st.one_of(
    *(
        st.builds(Instruction, st.just(each.name), operand, st.just(1))
        for each in OPERATIONS.values()
        for operand in [
            {
                "none": st.none(),
                "value": st.one_of(
                    st.integers(-(10**18) + 1, 10**18 - 1),
                    st.text(st.characters(exclude_categories="CZ") | st.sampled_from(' \n\t\r\f\x1e\x85\u2028"\\;')),
                ),
                "name": st.text(st.sampled_from('ab "\\\n\r\u2028;nt')),
                "text": st.text(st.sampled_from('ab "\\\n;nt')),
                "label": st.just("here"),
            }[each.operand]
        ]
    )
)


@settings(max_examples=200)
@given(INSTRUCTIONS, st.sampled_from(["", " ", '\t; a "comment" \\']))
def test_a_written_instruction_assembles_to_itself(instruction: Instruction, behind: str):
    (read,) = assemble(f"{written(instruction)}{behind}\nhere:").instructions
    assert read == instruction
