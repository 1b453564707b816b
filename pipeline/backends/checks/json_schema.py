"""`{"type": "json_schema", "schema": {…}}`: the answer is JSON of that form."""

import json
from typing import Any

from pipeline.backends.checks.interface import Outcome, Specification
from pipeline.backends.checks.schemas import problem_of_schema, problem_with

_LONGEST = 100_000  # characters: of an answer, of a schema as JSON


class JsonSchemaCheck:
    """Parses, then validates with jsonschema."""

    def validate(self, specification: Specification) -> None:
        """`schema` must be a schema itself, of at most 100,000 characters."""
        try:
            schema = specification["schema"]
            text = json.dumps(schema)
            problem = problem_of_schema(schema) if len(text) <= _LONGEST else f"longer than {_LONGEST} characters"
        except (KeyError, TypeError, AttributeError, TimeoutError, RecursionError) as error:
            raise ValueError(f"check json_schema: schema is unusable ({error})") from error
        if problem is None and '"unevaluatedProperties"' in text and '"patternProperties"' in text:
            problem = "unevaluatedProperties and patternProperties in one schema"  # jsonschema would use `re` itself
        if problem is not None:
            raise ValueError(f"check json_schema: schema is unusable ({problem.splitlines()[0]})")

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Right when it parses and fits."""
        from referencing.exceptions import Unresolvable

        if len(answer) > _LONGEST:
            return Outcome(False, None, f"longer than {_LONGEST} characters")
        try:
            value = json.loads(answer, parse_constant=_refuse)
            result = json.dumps(value, sort_keys=True)
        except (ValueError, RecursionError) as error:
            return Outcome(False, None, f"not JSON: {error}")
        try:
            problem = problem_with(value, specification["schema"])
        except TimeoutError as error:
            return Outcome(False, None, str(error))
        except Unresolvable as error:
            return Outcome(False, None, f"the schema refers to something that is not there: {error}")
        return Outcome(problem is None, result, problem and f"does not fit: {problem[:200]}")


def _refuse(constant: str) -> Any:
    """NaN and the infinities, which Python reads and JSON does not know."""
    raise ValueError(f"{constant} is no number in JSON")
