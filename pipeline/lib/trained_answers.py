"""What a generation was trained on: `interaction_ids.jsonl` in its folder, {id, answer}, one line an interaction.

`answer` is a hash of the answer that was learned, for a person may write a better one later; lines without it are
older, or of an answer that was only shown as a bad one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.lib import jsonl
from pipeline.lib.records import content_id

FILE = "interaction_ids.jsonl"

Answers = Mapping[str, str | None]  # interaction → hash of its answer; none: not known which


def read(folder: Path) -> dict[str, str | None]:
    """What the generation in this folder was trained on; nothing where there is no such file."""
    return {str(line["id"]): line.get("answer") for line in jsonl.read(folder / FILE)}


def write(folder: Path, answers: Answers) -> None:
    """Write it into the folder of a generation, in the order of the ids."""
    lines = ({"id": each, "answer": answers[each]} if answers[each] else {"id": each} for each in sorted(answers))
    jsonl.write(folder / FILE, lines)


def answer_hash(answer: str) -> str:
    """What stands for an answer: 24 hexadecimal digits."""
    return content_id(answer)


def taught(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Interaction → hash of the answer that the rows of a table (`pipeline.lib.formats`) teach as a good one."""
    answers = {}
    for row in rows:
        said = row.get("chosen") or row.get("completion") or row.get("messages")
        if said and row.get("label", True):
            answers[str(row["interaction_id"])] = answer_hash(said[-1]["content"])
    return answers


def knows(trained: Answers, interaction: str, answer: str | None) -> bool:
    """Whether this answer (its hash) was trained on; where one of the two is not known, whether any was."""
    return interaction in trained and (answer is None or trained[interaction] in (None, answer))
