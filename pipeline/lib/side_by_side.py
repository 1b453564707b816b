"""Answers of two versions to the same questions, from what the canary wrote down: `loras/<run>/canary.jsonl`.

Each such file holds the answers of a candidate and of what was its incumbent.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.lib import generations, jsonl, questions
from pipeline.lib.generations import BASE, Generation
from pipeline.lib.layout import Layout

Row = dict[str, Any]


def between(layout: Layout, first: Generation, second: Generation) -> list[Row]:
    """{id, group, question, first, second} of every question that both were asked; answers are {text, passed, error}.

    Those on which they differ in being right come first, then those with other words. Where one was the other's
    incumbent the answers are of the same hour; else they come from different nights.
    """
    files = list(_files(layout, {first.base_sha256, second.base_sha256} - {None}))
    of_both = [file for file in files if {file.candidate, file.incumbent} == {first.id, second.id}]
    ours, theirs = _answers(of_both or files, first.id), _answers(of_both or files, second.id)
    rows = [
        {
            "id": row["id"],
            "group": row.get("group"),
            "question": row["messages"][-1]["content"],
            "first": answer,
            "second": theirs[key][1],
        }
        for key, (row, answer) in ours.items()
        if key in theirs
    ]
    return sorted(rows, key=_dullness)


class _File:
    """One canary.jsonl: who answered, and what."""

    def __init__(self, generation: Generation, incumbent: str) -> None:
        self.candidate, self.incumbent = generation.id, incumbent
        self.rows = list(jsonl.read(generation.folder / "canary.jsonl"))

    def side(self, version: str) -> str | None:
        """Under which key a version's answers stand."""
        return {self.incumbent: "incumbent", self.candidate: "candidate"}.get(version)


def _files(layout: Layout, bases: set[str | None]) -> Iterator[_File]:
    """Oldest first. The bare base is another model under another base model: only files of the same one count."""
    for generation in generations.all_complete(layout):
        verdict = generations.verdict(generation)
        if verdict and generation.base_sha256 in (bases or {generation.base_sha256}):
            yield _File(generation, str(verdict.get("incumbent", BASE)))


def _answers(files: list[_File], version: str) -> dict[tuple[str, str], tuple[Row, Any]]:
    """The latest answer of a version to each question: {(id, question): (row, answer)}."""
    return {
        (str(row["id"]), questions.key(row)): (row, row[side])
        for file in files
        if (side := file.side(version))
        for row in file.rows
    }


def _dullness(row: Row) -> tuple[bool, bool]:
    return row["first"]["passed"] == row["second"]["passed"], row["first"]["text"] == row["second"]["text"]
