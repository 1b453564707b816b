"""Command lines in README and docs: every command, option and number of arguments exists. (Some are also typed.)"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import REPOSITORY
from typer.core import TyperGroup

from pipeline.cli import app

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
_ENDS = {"|", ">", ">>", "2>", "<", "&&", "||", ";", "&"}


def command_lines(page: Path) -> Iterator[tuple[str, ...]]:
    """The arguments of each `nightschool …` in a page's shell blocks."""
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            typed, *_ = re.split(r"\s{2,}", line.strip())  # what it does stands behind it
            lexer = shlex.shlex(
                typed.translate({ord("["): None, ord("]"): None}), posix=True, punctuation_chars="|&;<>"
            )
            lexer.whitespace_split = True
            try:
                words = list(lexer)
            except ValueError:  # an apostrophe: prose or output, no command
                continue
            for number, word in enumerate(words):
                if word == "nightschool" or word.endswith("/nightschool"):
                    rest = words[number + 1 :]
                    end = next((place for place, each in enumerate(rest) if each in _ENDS), len(rest))
                    yield tuple(rest[:end])


LINES = sorted({(page.name, line) for page in PAGES for line in command_lines(page)})


def parse(command: Any, arguments: list[str]) -> None:
    """As the command line would, without running anything."""
    context = command.make_context(command.name, arguments)
    if isinstance(command, TyperGroup):
        rest = [*context._protected_args, *context.args]
        if rest:
            _, chosen, rest = command.resolve_command(context, rest)
            parse(chosen, rest)


@pytest.mark.parametrize(("page", "line"), LINES, ids=lambda each: each if isinstance(each, str) else " ".join(each))
def test_what_the_documents_type_exists(page: str, line: tuple[str, ...]):
    try:
        parse(typer.main.get_command(app), list(line))
    except typer.BadParameter as error:  # a file or a run that is not here is no mistake of the page
        assert not error.format_message().startswith("Missing")


def test_there_is_something_to_check():
    assert len(LINES) > 50
