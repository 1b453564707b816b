"""The table of operations as text: for people (`docs/vm.md`), and for models that write programs."""

from pipeline.evolution.operations import OPERATIONS, Operation

_OPERANDS = {"none": "", "value": '#7 or "text"', "name": '"name"', "text": '"text"', "label": "label"}
_EXAMPLE = """\
; the sum of the integers from 1 to n
PUSH #10
STORE "n"
PUSH #0
STORE "sum"
again:
LOAD "n"
JZ done
LOAD "sum"
LOAD "n"
ADD
STORE "sum"
LOAD "n"
PUSH #1
SUB
STORE "n"
JMP again
done:
HALT"""


def table() -> str:
    """Every operation as a row of Markdown."""
    rows = ["| operation | operand | stack | what it does | errors |", "|---|---|---|---|---|"]
    for each in OPERATIONS.values():
        operand = f"`{_OPERANDS[each.operand]}`" if each.operand != "none" else ""
        rows.append(f"| `{each.name}` | {operand} | `{each.effect}` | {each.meaning} | {', '.join(each.errors)} |")
    return "\n".join(rows)


def language() -> str:
    """What a model has to know to write a program."""
    operations = "\n".join(_line(each) for each in OPERATIONS.values())
    return (
        "You write programs for a small stack machine. One instruction a line; `;` starts a comment; `name:` on a line "
        'of its own is a label. Integers are written #7, texts "like this". The operations, with what each takes from '
        f"the stack and leaves there (the top at the right):\n\n{operations}\n\nAn example:\n\n```\n{_EXAMPLE}\n```\n\n"
        "Answer with the program alone, in one fenced block."
    )


def _line(operation: Operation) -> str:
    written = f"{operation.name} {_OPERANDS[operation.operand]}".strip()
    return f"{written} ({operation.effect}): {operation.meaning}"


if __name__ == "__main__":
    print(table())
