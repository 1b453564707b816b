"""Which questions a candidate is asked: the user's, those of its base model, or none at all."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.doctor import _exam
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, ConfigurationError
from pipeline.lib.questions import SHIPPED_CANARY, canary_file, read_canary, read_holdout, read_rehearsal
from pipeline.serve import _probe_pool

CHECK = {"type": "text", "equals": "4"}


def question(identity: str) -> dict[str, object]:
    return {"id": identity, "messages": [{"role": "user", "content": identity}], "check": CHECK}


def with_base(home: Path, starter: bool, **more: object) -> Settings:
    base = home / "models" / "mine"
    base.mkdir(parents=True)
    if starter:
        (base / "starter.json").write_text("{}")
    for kind in ("holdout", "rehearsal"):
        jsonl.write(base / f"{kind}.jsonl", [question(f"{kind} of the base")])
    return Settings(home=home, model={"base": "models/mine"}, **more)


def ids(rows: Iterable[dict[str, Any]]) -> list[object]:
    return [row["id"] for row in rows]


def test_the_tasks_that_ship_are_asked_of_the_starter_only(tmp_path: Path):
    assert canary_file(with_base(tmp_path / "a", starter=True)) == SHIPPED_CANARY
    another = with_base(tmp_path / "b", starter=False)
    assert (canary_file(another), list(read_canary(another))) == (None, [])


@pytest.mark.parametrize("starter", [True, False])
def test_the_users_own_tasks_come_before_those_that_ship(tmp_path: Path, starter: bool):
    settings = with_base(tmp_path, starter)
    jsonl.write(tmp_path / "canary.jsonl", [question("mine")])
    assert ids(read_canary(settings)) == ["mine"]
    jsonl.write(tmp_path / "others.jsonl", [question("others")])
    named = settings.model_copy(update={"canary": settings.canary.model_copy(update={"tasks": "others.jsonl"})})
    assert ids(read_canary(named)) == ["others"]


def test_hold_out_and_rehearsal_lie_beside_the_base_model_unless_files_are_named(tmp_path: Path):
    settings = with_base(tmp_path, starter=False)
    assert ids(read_holdout(settings)) == ["holdout of the base"]
    assert ids(read_rehearsal(settings)) == ["rehearsal of the base"]
    jsonl.write(tmp_path / "own.jsonl", [question("own")])
    for name, found in (("own.jsonl", ["own"]), ("", [])):
        named = Settings(home=tmp_path, dataset={"holdout": name, "rehearsal": name})
        assert ids(read_holdout(named)) == ids(read_rehearsal(named)) == found


def test_a_hub_model_brings_no_questions(tmp_path: Path):
    settings = Settings(home=tmp_path, model={"base": "somebody/model"})
    assert [*read_holdout(settings), *read_rehearsal(settings), *read_canary(settings)] == []


def test_a_named_file_that_is_not_there_is_a_mistake_of_the_settings(tmp_path: Path):
    settings = Settings(home=tmp_path, dataset={"holdout": "nowhere.jsonl"})
    with pytest.raises(ConfigurationError, match=r"dataset\.holdout names .*nowhere\.jsonl"):
        list(read_holdout(settings))


def test_people_get_their_answers_though_the_hold_out_is_not_there(tmp_path: Path):
    assert _probe_pool(Settings(home=tmp_path, dataset={"holdout": "nowhere.jsonl"}))


@pytest.mark.parametrize("place", ["canary.jsonl", "rehearsal.jsonl"])
def test_the_doctor_finds_a_check_that_would_stop_the_canary(tmp_path: Path, place: str):
    settings = Settings(home=tmp_path, dataset={"rehearsal": "rehearsal.jsonl" if place == "rehearsal.jsonl" else ""})
    jsonl.write(tmp_path / place, [{**question("fine"), "check": {"type": "judge"}}, question("good")])
    assert _exam(settings).startswith("2 canary" if place == "canary.jsonl" else "0 canary")
    jsonl.append(tmp_path / place, [{**question("bad"), "check": {"type": "regex", "pattern": "("}}])
    with pytest.raises(BadRecordError, match="'bad' cannot be asked"):
        _exam(settings)
