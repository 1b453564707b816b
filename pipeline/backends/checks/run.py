"""Runs the check that a record names."""

import importlib
from functools import cache

from pipeline.backends.checks.interface import Check, Outcome, Specification

CHECKS = {
    "vm": "pipeline.backends.checks.vm:VmCheck",
    "text": "pipeline.backends.checks.text:TextCheck",
    "regex": "pipeline.backends.checks.text:RegexCheck",
    "json_schema": "pipeline.backends.checks.json_schema:JsonSchemaCheck",
}


def validate(specification: Specification) -> None:
    """Raise ValueError when the check is unknown or its fields make no sense."""
    _check(specification).validate(specification)


def judge(answer: str, specification: Specification) -> Outcome:
    """Decide about one answer."""
    return _check(specification).judge(answer, specification)


def _check(specification: Specification) -> Check:
    kind = specification.get("type")
    if not isinstance(kind, str) or kind not in CHECKS:
        raise ValueError(f"check type {kind!r} is not one of {', '.join(CHECKS)}")
    return _load(kind)


@cache
def _load(kind: str) -> Check:
    module, _, name = CHECKS[kind].partition(":")
    instance: Check = getattr(importlib.import_module(module), name)()
    return instance
