"""`{"type": "json_schema", "schema": {…}}`: the answer is JSON of that form."""

import json

from pipeline.backends.checks.interface import Outcome, Specification


class JsonSchemaCheck:
    """Parses, then validates with jsonschema."""

    def validate(self, specification: Specification) -> None:
        """`schema` must be a schema itself."""
        import jsonschema

        try:
            jsonschema.validators.validator_for(specification["schema"]).check_schema(specification["schema"])
        except (KeyError, TypeError, AttributeError, jsonschema.SchemaError) as error:
            raise ValueError(f"check json_schema: schema is unusable ({str(error).splitlines()[0]})") from error

    def judge(self, answer: str, specification: Specification) -> Outcome:
        """Right when it parses and fits."""
        import jsonschema
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import EMPTY_REGISTRY  # given, so that no $ref is ever fetched from the network

        try:
            value = json.loads(answer)
            jsonschema.validate(value, specification["schema"], registry=EMPTY_REGISTRY)
        except (ValueError, OverflowError, RecursionError) as error:
            return Outcome(False, None, f"not JSON: {error}")
        except jsonschema.ValidationError as error:
            return Outcome(False, json.dumps(value, sort_keys=True), f"does not fit: {error.message[:200]}")
        except Unresolvable as error:
            return Outcome(False, None, f"the schema refers to something that is not there: {error}")
        return Outcome(True, json.dumps(value, sort_keys=True))
