"""Runs the check that a record names: one of ours, or a plug-in `package.module:Class`.

Plug-ins run foreign code, so only the user's own files may name them (hold-out, canary tasks): a check that came in
with a conversation may be anybody's.
"""

import importlib
from functools import cache

from pipeline.backends.checks.interface import Check, Outcome, Specification
from pipeline.backends.sandboxes import choice as sandbox
from pipeline.backends.sandboxes.interface import SandboxError
from pipeline.lib.errors import BadRecordError

CHECKS = {
    "vm": "pipeline.backends.checks.vm:VmCheck",
    "text": "pipeline.backends.checks.text:TextCheck",
    "regex": "pipeline.backends.checks.text:RegexCheck",
    "json_schema": "pipeline.backends.checks.json_schema:JsonSchemaCheck",
    "refusal": "pipeline.backends.checks.refusal:RefusalCheck",
    "python": "pipeline.backends.checks.python:PythonCheck",
}
_IN_SANDBOX = ("python",)


def validate(specification: Specification, plugins: bool = False) -> None:
    """Raise ValueError when the check is unknown (or a plug-in where none is allowed) or its fields make no sense."""
    check = _check(specification, plugins)
    try:
        check.validate(specification)
    except ValueError:
        raise
    except Exception as error:  # of whatever somebody wrote into it
        raise ValueError(f"check {specification['type']}: unusable ({_words(error)})") from error


def usable(specification: Specification | None) -> bool:
    """Whether an answer can be judged, here and now, by a check that came in with a conversation."""
    try:
        validate(specification or {})
    except ValueError:
        return False
    return obstacle(specification) is None


def obstacle(specification: Specification | None) -> SandboxError | None:
    """Why this machine cannot run a check that is fine in itself; none: it can."""
    return sandbox.problem() if (specification or {}).get("type") in _IN_SANDBOX else None


def judge(answer: str, specification: Specification, plugins: bool = False) -> Outcome:
    """Decide about one answer.

    Raises:
        BadRecordError: a plug-in raised, or the disk refused; where a check of ours cannot be used, the answer fails.
        SandboxError: the answer would have to be executed, and cannot be here: it is neither right nor wrong.
    """
    check = _check(specification, plugins)
    try:
        return check.judge(answer, specification)
    except SandboxError:
        raise
    except Exception as error:
        # Anybody may have posted one of ours: nothing is right by it, and others go on. A full disk is not its fault.
        if specification["type"] in CHECKS and not isinstance(error, OSError):
            return Outcome(False, None, f"the check cannot be used ({_words(error)})")
        raise BadRecordError(
            f"check {specification['type']} raised {_words(error)}",
            "mend the check; nothing was judged",
        ) from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _check(specification: Specification, plugins: bool) -> Check:
    kind = specification.get("type")
    if not isinstance(kind, str) or (kind not in CHECKS and not (plugins and ":" in kind)):
        more = ", and no package.module:Class" if plugins else ""
        raise ValueError(f"check type {kind!r} is not one of {', '.join(CHECKS)}{more}")
    return _load(CHECKS.get(kind, kind))


@cache
def _load(path: str) -> Check:
    module, _, name = path.partition(":")
    try:
        instance: Check = getattr(importlib.import_module(module), name)()
    except Exception as error:  # foreign code
        raise ValueError(f"check {path} cannot be loaded ({type(error).__name__}: {error})") from error
    return instance
