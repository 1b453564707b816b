"""`{"type": "vm", "memory": {"total": 27}}`: run the answer on the Sovereign VM, compare what it left in memory.

Without `memory` the program only has to run; what it leaves is then what a council votes on.
"""

import json

from pipeline.backends.checks.interface import Outcome, Specification
from pipeline.evolution.faults import VmError
from pipeline.evolution.machine import run


class VmCheck:
    """Executes programs; one that would ask a model for code (LLMGEN, EVOLVE) fails instead."""

    def validate(self, specification: Specification) -> None:
        """`memory`, when given, maps names to integers or texts."""
        memory = specification.get("memory", {})
        if not isinstance(memory, dict) or not all(isinstance(each, int | str) for each in memory.values()):
            raise ValueError("check vm: memory must map names to integers or texts")

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Right when every expected name holds its expected value."""
        try:
            state = run(answer)
        except VmError as error:
            return Outcome(False, None, str(error))
        result = json.dumps(state.memory, sort_keys=True)
        expected = specification.get("memory")
        if expected is None:
            return Outcome(None, result)
        # Names only: the value that would have been right is not for whoever reads the error.
        wrong = sorted(name for name, value in expected.items() if state.memory.get(name) != value)
        if wrong:
            return Outcome(False, result, f"wrong value in {', '.join(wrong)}")
        return Outcome(True, result)
