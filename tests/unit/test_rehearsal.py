import json
from pathlib import Path
from typing import Any

import pytest
from teaching import Gateway, servers

from pipeline.backends.teachers.rehearsal import rehearse, rehearsed
from pipeline.lib import jsonl
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.records import content_id
from pipeline.starter import tasks

CHECK = {"type": "text", "equals": "4"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    base = tmp_path / "models" / "base"
    base.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(b"weights")
    return Settings(
        home=tmp_path,
        model={"base": "models/base"},
        dataset={"rehearsal": ["rehearsal.jsonl"]},
        server={"port": 9},
    )


def question(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "check": CHECK}


def told(settings: Settings, text: str, passed: bool) -> None:
    asked = question(text)
    key = content_id("rehearsal", base_sha256(settings.base_folder), asked["messages"], CHECK)
    jsonl.append(
        settings.layout.rehearsal, [{"key": key, "messages": asked["messages"], "answer": "4", "passed": passed}]
    )


def test_only_right_answers_of_this_base_to_questions_that_still_stand_are_rehearsed(settings: Settings) -> None:
    jsonl.write(settings.home / "rehearsal.jsonl", [question("2 + 2"), question("1 + 1")])
    told(settings, "2 + 2", passed=True)
    told(settings, "1 + 1", passed=False)
    told(settings, "taken out of the file since", passed=True)
    (only,) = rehearsed(settings)
    assert (only.question, only.answer, only.adapter) == ("2 + 2", "4", "base")
    (settings.home / "models" / "base" / "model.safetensors").write_bytes(b"another base")
    assert not list(rehearsed(settings))


def test_a_night_without_the_gateway_goes_on_without_rehearsal(settings: Settings) -> None:
    jsonl.write(settings.home / "rehearsal.jsonl", [question("2 + 2")])
    assert rehearse(settings) == 0
    assert not settings.layout.rehearsal.exists()


def test_a_question_that_the_gateway_refuses_is_not_passed_and_the_others_are_kept(settings: Settings) -> None:
    jsonl.write(settings.home / "rehearsal.jsonl", [question("2 + 2"), question("much too long"), question("1 + 3")])
    gateway = Gateway(lambda _: "4", refused="much too long")
    with servers(gateway):
        assert rehearse(gateway.serves(settings)) == 3
        assert rehearse(gateway.serves(settings)) == 0
    assert [each.question for each in rehearsed(settings)] == ["2 + 2", "1 + 3"]


def test_nothing_is_asked_where_there_are_no_questions(settings: Settings) -> None:
    assert rehearse(settings) == 0


def test_the_starter_rehearses_short_tasks_of_all_families_and_nothing_that_is_held_out() -> None:
    found = tasks.rehearsal()
    held_out = {task.question for task in tasks.every_holdout()}
    assert {task.family for task in found} == set(tasks.FAMILIES)
    assert not held_out & {task.question for task in found}
    assert "program" not in json.dumps([task.record() for task in found])
