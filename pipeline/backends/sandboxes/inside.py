"""What runs inside of a sandbox: one answer, on all its cases.

Imports nothing of Nightschool, and of the rest as little as it can, for every answer pays for it: `json` alone would
double what a small program takes.

reads   standard input: {"limits": {…}, "answer": text, "function": name or none, "cases": […]}, marshalled
writes  standard output: `GREETING`, then one JSON list: for each case ["value", JSON value or text] or ["error", text]

A case is {"args": […], "kwargs": {…}} for a function (of any values that can be marshalled), {"stdin": text} for a
whole program. What would be right is not in here: however the answer cheats, it can only say values, and those are
compared outside.
"""

from __future__ import annotations

import builtins
import io
import marshal
import os
import resource
import sys
import types

TYPE_CHECKING = False  # that of `typing` would have to be imported
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

GREETING = b"inside\n"
_ESCAPES = {34: '\\"', 92: "\\\\", **{code: f"\\u{code:04x}" for code in range(32)}}
_FENCES = ("```", "~~~")
_LONGEST_MESSAGE = 200  # characters
_STARTS = ("import ", "from ", "def ", "async def ", "class ", "@", "#", "if ", "for ", "while ", "print(", "try:")


def main() -> None:
    """Greet, run, report; ends the process without anything that the answer may have left for the end."""
    task = marshal.load(sys.stdin.buffer)
    _limit(task["limits"])
    channel = os.dup(1)
    os.write(channel, GREETING)
    os.closerange(0, 3)
    _fill()
    said = as_json(results(task)).encode("utf-8", "surrogatepass")
    while said:
        said = said[os.write(channel, said) :]
    os._exit(0)


def _limit(limits: dict[str, int]) -> None:
    """Nobody in here can raise them again."""
    sizes = {
        resource.RLIMIT_CPU: limits["processor_seconds"],
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_FSIZE: limits["disk_bytes"],
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for kind, size in sizes.items():
        resource.setrlimit(kind, (size, size))


def results(task: dict[str, Any]) -> list[tuple[str, Any]]:
    """What each case came to."""
    function = task["function"]
    source = code_of(task["answer"], function)
    # `site` is left out for speed, and it is what defines these two.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    if function is None:
        return [_program(source, case["stdin"]) for case in task["cases"]]
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    try:
        exec(compile(source, "answer", "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        return [("error", _words(error))] * len(task["cases"])
    if function not in vars(module):
        return [("error", f"no function {function}")] * len(task["cases"])
    return [_call(vars(module)[function], case) for case in task["cases"]]


def _call(call: Any, case: dict[str, Any]) -> tuple[str, Any]:
    try:
        value = call(*case.get("args", ()), **case.get("kwargs", {}))
        return "value", _Encoded(as_json(value))
    except BaseException as error:
        return "error", _words(error)


class _Encoded(str):
    """JSON already."""


def as_json(value: Any) -> str:
    """JSON for a reader that accepts lone surrogates, as `json.loads` does.

    Raises:
        TypeError, ValueError, RecursionError: there is no JSON for it.
    """
    if isinstance(value, _Encoded):
        return value
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f'"{str.translate(value, _ESCAPES)}"'
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if value - value != 0:
            raise ValueError(f"{float.__repr__(value)} is no number in JSON")
        return float.__repr__(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join([as_json(each) for each in value])}]"
    if isinstance(value, dict):
        return f"{{{', '.join([f'{_key(key)}: {as_json(each)}' for key, each in value.items()])}}}"
    raise TypeError(f"{type(value).__name__} is nothing in JSON")


def _key(key: Any) -> str:
    if isinstance(key, list | tuple | dict):
        raise TypeError(f"{type(key).__name__} is no key in JSON")
    return as_json(key) if isinstance(key, str) else as_json(as_json(key))


def _program(source: str, given: str) -> tuple[str, Any]:
    """Run a whole program on its standard input; the value is its standard output."""
    _fill()
    entrance, exit_ = os.memfd_create("in"), os.memfd_create("out")
    os.write(entrance, given.encode("utf-8", "replace"))
    os.lseek(entrance, 0, os.SEEK_SET)
    os.dup2(entrance, 0)
    os.dup2(exit_, 1)
    os.close(entrance)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "r", closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    main_module = types.ModuleType("__main__")
    sys.modules["__main__"] = main_module
    error = None
    try:
        exec(compile(source, "answer", "exec", dont_inherit=True), vars(main_module))
    except SystemExit as ending:
        error = None if not ending.code else f"ended with {str(ending.code)[:_LONGEST_MESSAGE]}"
    except BaseException as raised:
        error = _words(raised)
    try:
        sys.stdout.flush()
        os.lseek(exit_, 0, os.SEEK_SET)
        written = b"".join(iter(lambda: os.read(exit_, 1 << 16), b""))
        os.close(exit_)
    except BaseException as raised:
        return "error", _words(raised)
    return ("value", written.decode("utf-8", "replace")) if error is None else ("error", error)


def _fill() -> None:
    """A program closes its standard streams (a forgotten `open(0)` does); their numbers are for nothing else."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]


def code_of(answer: str, function: str | None) -> str:
    """The code of an answer as models write them: fenced blocks, prose around it, or plain code.

    Of several blocks: the last one that defines the function, else all together in their order.
    """
    blocks = list(_blocks(answer))
    if not blocks:
        return _without_prose(answer)
    if function is None or len(blocks) == 1:
        return "\n".join(blocks)
    defining = [block for block in blocks if _defines(block, function)]
    return defining[-1] if defining else "\n".join(blocks)


def _blocks(answer: str) -> Iterator[str]:
    """Fenced blocks of Python, or of no named language where no block is named Python; one may lack its end."""
    found: list[tuple[str, str]] = []
    fence, language, indent, lines = "", "", 0, list[str]()
    for line in answer.splitlines():
        mark = line.strip()
        if fence and mark.startswith(fence) and not mark.strip(fence[0]):
            found.append((language, "\n".join(lines)))
            fence = ""
        elif fence:
            lines.append(line[min(indent, len(line) - len(line.lstrip())) :])
        elif mark.startswith(_FENCES):
            fence, indent = mark[:3], len(line) - len(line.lstrip())  # in an item of a list all of it is indented
            words = mark.lstrip(fence[0]).split()
            language, lines = words[0].lower() if words else "", []
    if fence:
        found.append((language, "\n".join(lines)))
    named = [text for language, text in found if language in ("python", "python3", "py")]
    yield from named or [text for language, text in found if not language]


def _defines(block: str, function: str) -> bool:
    import ast

    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return _wrong_line(block) is None and any(
        isinstance(node, definitions) and node.name == function for node in ast.parse(block).body
    )


def _without_prose(answer: str) -> str:
    """From the first line that begins like code to the last with which everything in between is a program."""
    if _wrong_line(answer) is None:
        return answer
    lines = answer.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith(_STARTS)), 0)
    code = lines[first:]
    while code:
        source = "\n".join(code)
        wrong = _wrong_line(source)
        if wrong is None:
            return source
        del code[min(wrong, len(code)) - 1 :]  # no end that includes this line would be right
    return answer


def _wrong_line(source: str) -> int | None:
    """The number of the line at which it stops being Python; none: it is."""
    try:
        compile(source, "answer", "exec", dont_inherit=True)
    except SyntaxError as error:
        return max(1, error.lineno or 1)
    except (ValueError, MemoryError, RecursionError):
        return 1
    return None


if __name__ == "__main__":
    main()
