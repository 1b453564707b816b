"""What LLMGEN and EVOLVE ask a model for, and what of its answer is code."""

import re
from typing import Protocol

from pipeline.evolution.assembler import has_instruction
from pipeline.evolution.faults import FaultError

_FENCED = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_SAID = 200  # characters of a failure that are repeated


class Writer(Protocol):
    """A model that writes programs for this machine."""

    def write(self, prompt: str) -> str:
        """The model's whole answer; the machine finds the code in it.

        Raises:
            TimeoutError: it took too long.
            Exception: whatever else went wrong; a program sees it as a failure of the model.
        """


def written(writer: Writer, prompt: str, most: int) -> str:
    """Ask for code.

    Args:
        writer: who is asked.
        prompt: for what.
        most: longest code, in characters.

    Raises:
        FaultError: `time-out`, or `model`: it failed, or what it wrote is empty, too long, or has not one instruction.
    """
    try:
        answer = writer.write(prompt)
    except TimeoutError as error:
        raise FaultError("time-out", f"the model took too long: {_first_line(error)}") from error
    except Exception as error:  # a program ends with a defined error, whatever a writer does
        raise FaultError("model", f"the model failed: {_first_line(error)}") from error
    code = _code(answer)
    if not code:
        raise FaultError("model", "the model wrote nothing")
    if len(code) > most:
        raise FaultError("model", f"the model wrote more than {most} characters")
    if not has_instruction(code):
        raise FaultError("model", f"the model wrote no program, but {code[:40]!r}")
    return code


def _code(answer: str) -> str:
    """The first fenced block, else everything; without what a reasoning model thought before."""
    text = answer.rpartition("</think>")[2].encode("utf-8", "replace").decode()
    fenced = _FENCED.search(text)
    return (fenced[1] if fenced else text).strip()


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:_SAID] if lines else type(error).__name__
