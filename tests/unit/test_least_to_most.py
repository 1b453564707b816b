import json
import time
from pathlib import Path

import pytest

from pipeline.backends.teachers.interface import Draft
from pipeline.backends.teachers.least_to_most import LeastToMost
from pipeline.evolution.history import Strategy
from pipeline.lib.records import Interaction, Message

HOW = Strategy(1.0, 0.9, 8)
EXAMPLES = [(f"add {a} + {b} + {c}", f"{a} {b} + {c} +") for a, b, c in ((1, 2, 3), (4, 5, 6), (7, 8, 9), (2, 4, 6))]
LONG = "add 1 + 2 + 3 + 4"


class Student:
    """Knows sums of up to three numbers; what else it is asked for, it samples."""

    name = "student@base:0"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, messages: list[Message]) -> str:
        self.asked.append(messages[-1]["content"])
        first, *others = [part for part in messages[-1]["content"].split() if part.isdecimal()] or ["nothing"]
        return " ".join([first, *(f"{each} +" for each in others)]) if len(others) < 3 else "too much"

    def drafts(self, interaction: Interaction, count: int, first: int, how: Strategy) -> list[Draft]:
        return [Draft(f"sample {first + number}") for number in range(count)]


def failed(question: str, *before: Message) -> Interaction:
    messages = [*before, {"role": "user", "content": question}]
    return Interaction(id="0" * 24, source="gateway", at=0, messages=messages, answer="bad")


def total(answer: str) -> int:
    """What such an answer comes to; it may add in any order."""
    stack: list[int] = []
    for word in answer.split():
        stack.append(stack.pop() + stack.pop() if word == "+" else int(word))
    (result,) = stack
    return result


@pytest.fixture
def teacher(tmp_path: Path) -> LeastToMost:
    made = LeastToMost(Student(), tmp_path / "parts.json", 4, 2)
    made.study(EXAMPLES, [LONG], 200, time.time() + 60)
    return made


def test_a_question_that_is_too_long_is_answered_by_way_of_shorter_ones(teacher: LeastToMost):
    drafts = teacher.drafts(failed(LONG), 4, 0, HOW)
    assert total(drafts[0].answer) == 1 + 2 + 3 + 4
    assert drafts[0].reasoning.startswith("put together from the answer to: add ")


def test_what_cannot_be_put_together_is_sampled_and_no_draft_is_missing(teacher: LeastToMost):
    drafts = teacher.drafts(failed("what is the capital of France?"), 3, 0, HOW)
    assert [each.answer for each in drafts] == ["sample 0", "sample 1", "sample 2"]
    mixed = teacher.drafts(failed(LONG), 8, 0, HOW)
    assert len(mixed) == 8
    assert mixed[-1].answer.startswith("sample")


def test_later_drafts_go_on_where_the_first_ended(teacher: LeastToMost):
    together = teacher.drafts(failed(LONG), 8, 0, HOW)
    assert teacher.drafts(failed(LONG), 2, 0, HOW) + teacher.drafts(failed(LONG), 6, 2, HOW) == together


def test_the_conversation_before_the_question_stays(teacher: LeastToMost):
    drafts = teacher.drafts(failed(LONG, {"role": "system", "content": "be brief"}), 1, 0, HOW)
    assert total(drafts[0].answer) == 1 + 2 + 3 + 4


def test_a_simpler_question_is_asked_once(teacher: LeastToMost):
    teacher.drafts(failed(LONG), 4, 0, HOW)
    student = teacher._model
    before = len(student.asked)
    teacher.drafts(failed(LONG), 4, 0, HOW)
    assert len(student.asked) == before


def test_the_next_night_knows_what_this_one_learned(teacher: LeastToMost, tmp_path: Path):
    again = LeastToMost(Student(), tmp_path / "parts.json", 4, 2)
    assert len(again.parts) == len(teacher.parts) > 0


@pytest.mark.parametrize("content", ["{}", "[1]", '{"parts": [{"left": 1}]}', "nonsense"])
def test_a_file_that_cannot_be_used_is_begun_anew(tmp_path: Path, content: str):
    path = tmp_path / "parts.json"
    path.write_text(content)
    teacher = LeastToMost(Student(), path, 4, 2)
    assert len(teacher.parts) == 0
    teacher.study(EXAMPLES, [LONG], 100, time.time() + 60)
    assert json.loads(path.read_text())["parts"]


class Reluctant(Student):
    """Refuses every second of the simpler questions."""

    def answer(self, messages: list[Message]) -> str | None:
        said = super().answer(messages)
        return said if len(self.asked) % 2 else None


def test_a_simpler_question_that_is_refused_shows_nothing_and_the_others_do(tmp_path: Path):
    made = LeastToMost(Reluctant(), tmp_path / "parts.json", 4, 1)
    made.study(EXAMPLES, [LONG], 200, time.time() + 60)
    assert len(made.parts) > 0
    drafts = made.drafts(failed(LONG), 4, 0, HOW)
    assert len(drafts) == 4
    assert "put together" in drafts[0].reasoning


def test_when_the_time_is_over_nothing_is_asked(tmp_path: Path):
    student = Student()
    teacher = LeastToMost(student, tmp_path / "parts.json", 4, 2)
    teacher.study(EXAMPLES, [LONG], 200, time.time() - 1)
    assert student.asked == []


def test_where_questions_are_not_made_of_parts_few_are_asked(tmp_path: Path):
    student = Student()
    asked = [f"who won in {year}, and where was it?" for year in range(1900, 1990)]
    prose = [(question, f"{'ab'[number % 2]} did, in Rome") for number, question in enumerate(asked)]
    teacher = LeastToMost(student, tmp_path / "parts.json", 4, 2)
    teacher.study(prose, asked, 100, time.time() + 60)
    assert 1 <= len(student.asked) <= 5
