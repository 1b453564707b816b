"""JSON Schema for schemas that may be anybody's: jsonschema, with an end to its time."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.backends.checks.patterns import TOO_LONG, found

_SECONDS = 1.0  # for all of a value
_MOST_UNIQUE = 1000  # items, which are compared each with each

Errors = Iterator[Any]


def problem_of_schema(schema: Any) -> str | None:
    """Why it is no schema; none: it is one.

    Raises:
        TimeoutError, RecursionError: that could not be found out.
    """
    from jsonschema.validators import validator_for

    dialect = validator_for(schema)
    return _problem(schema, dialect.META_SCHEMA, dialect.FORMAT_CHECKER)


def problem_with(value: Any, schema: Any) -> str | None:
    """Why a value does not fit a schema; none: it does.

    Raises:
        TimeoutError: that could not be found out in a second.
        Unresolvable: the schema refers to something that is not there.
        RecursionError, ValueError, jsonschema.UnknownType: the schema cannot be used.
    """
    return _problem(value, schema, None)


def _problem(value: Any, schema: Any, formats: Any) -> str | None:
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing.jsonschema import EMPTY_REGISTRY  # given, so that no $ref is ever fetched from the network

    validator = _bounded(validator_for(schema), time.monotonic() + _SECONDS)
    error = best_match(validator(schema, registry=EMPTY_REGISTRY, format_checker=formats).iter_errors(value))
    return None if error is None else str(error.message)


def _bounded(dialect: Any, deadline: float) -> Any:
    """The dialect's validator, but with our search for patterns, and none that goes on after the deadline."""
    from jsonschema import validators

    extend: Callable[..., Any] = validators.extend

    def left() -> float:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the schema takes too long")
        return seconds

    def evolve(self: Any, **changes: Any) -> Any:
        """Every step into a part of the schema comes by here; jsonschema's own would go back to its own class."""
        left()
        kept = {"schema": self.schema, "registry": self._registry, "_resolver": self._resolver}
        return type(self)(**{**kept, "format_checker": self.format_checker, **changes})

    keywords = _keywords(dialect.VALIDATORS, lambda pattern, text: _matches(pattern, text, left()))
    bounded = extend(dialect, keywords)
    bounded.evolve = evolve
    return bounded


def _matches(pattern: str, text: str, seconds: float) -> bool:
    try:
        return found(pattern, text, seconds)
    except TimeoutError:
        raise TimeoutError(TOO_LONG) from None


def _keywords(usual: Any, matches: Callable[[str, str], bool]) -> dict[str, Callable[..., Errors]]:
    """Those of jsonschema that search with `re`, and the one that compares each with each."""
    from jsonschema import ValidationError

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Errors:
        if validator.is_type(instance, "string") and not matches(wanted, instance):
            yield ValidationError(f"{instance!r} does not match {wanted!r}")

    def pattern_properties(validator: Any, wanted: dict[str, Any], instance: Any, schema: Any) -> Errors:
        if validator.is_type(instance, "object"):
            for each, inner in wanted.items():
                for key in [key for key in instance if matches(each, key)]:
                    yield from validator.descend(instance[key], inner, path=key, schema_path=each)

    def additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Errors:
        """Those that match a pattern are none."""
        if validator.is_type(instance, "object"):
            patterns = schema.get("patternProperties", {})
            instance = {key: instance[key] for key in instance if not any(matches(each, key) for each in patterns)}
            without = {key: value for key, value in schema.items() if key != "patternProperties"}
            yield from usual["additionalProperties"](validator, wanted, instance, without)

    def unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Errors:
        if validator.is_type(instance, "array") and len(instance) > _MOST_UNIQUE:
            raise TimeoutError(f"more than {_MOST_UNIQUE} items to tell apart")
        yield from usual["uniqueItems"](validator, wanted, instance, schema)

    return {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "uniqueItems": unique_items,
    }
