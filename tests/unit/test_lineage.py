from pathlib import Path

import pytest
from handmade import FIRST, SECOND, THIRD, make, make_base, make_settings, promote, swap

from pipeline.canary import canary
from pipeline.deploy import deploy
from pipeline.lib import generations, jsonl, lineage
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings
from pipeline.lib.errors import ConfigurationError, NothingToDo, UsageError
from pipeline.lib.files import sha256, write_json
from pipeline.prune import prune
from pipeline.rollback import rollback
from pipeline.switch_base import switch_base
from pipeline.train import train

RUN = "20261121T020000Z"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path, deploy={"keep": 1})


@pytest.fixture
def other(settings: Settings) -> Settings:
    """The same home with another base model configured."""
    other = settings.model_copy(update={"model": settings.model.model_copy(update={"base": "models/other"})})
    make_base(other, b"another model")
    return other


def current(settings: Settings) -> str:
    return generations.incumbent(settings.layout).id


def test_no_stage_uses_an_adapter_of_another_base_model(settings: Settings, other: Settings):
    make(settings, FIRST)
    promote(settings, FIRST)
    make(other, SECOND)
    folder = settings.layout.dataset(RUN)
    jsonl.write(folder / "sft.jsonl", [])
    write_json(folder / "dataset.json", {"sha256": {"sft.jsonl": sha256(folder / "sft.jsonl")}})
    stages = [
        lambda: train(other, RUN, dry_run=True, show_progress=False),
        lambda: canary(other, SECOND, dry_run=False),
        lambda: deploy(other, SECOND, RUN, dry_run=False),
        lambda: rollback(other, None, "test", RUN, dry_run=False),
    ]
    for stage in stages:
        with pytest.raises(ConfigurationError, match=f"names {FIRST}, an adapter of another base model") as caught:
            stage()
        assert "nightschool versions switch-base" in caught.value.hint
    assert current(settings) == FIRST


def test_a_candidate_of_another_base_model_is_not_deployed_over_the_bare_base(settings: Settings, other: Settings):
    make(settings, FIRST)
    with pytest.raises(ConfigurationError, match=f"{FIRST} was trained on another base model than models/other"):
        deploy(other, FIRST, RUN, dry_run=False)
    with pytest.raises(ConfigurationError, match="another base model"):
        rollback(other, FIRST, "test", RUN, dry_run=False)
    assert current(settings) == "base"


def test_switching_the_base_gives_back_what_it_had_last_and_changes_nothing_else(settings: Settings, other: Settings):
    make(settings, FIRST)
    promote(settings, FIRST)
    assert switch_base(other, RUN, dry_run=True)["to"] == "base"
    assert current(settings) == FIRST
    assert switch_base(other, RUN, dry_run=False)["to"] == "base"
    make(other, SECOND)
    promote(other, SECOND)
    before = {path for path in settings.home.rglob("*") if path.is_file()}
    assert switch_base(settings, RUN, dry_run=False)["to"] == current(settings) == FIRST
    assert {path for path in settings.home.rglob("*") if path.is_file()} - before == set()
    last = generations.ledger(settings.layout)[-1]
    assert (last["from"], last["to"], last["base_sha256"]) == (SECOND, FIRST, base_sha256(settings.base_folder))
    assert lineage.require_current_base(settings) == last["base_sha256"]


def test_switching_to_the_base_that_is_current_is_nothing_to_do(settings: Settings):
    make(settings, FIRST)
    with pytest.raises(NothingToDo):
        switch_base(settings, RUN, dry_run=False)
    promote(settings, FIRST)
    with pytest.raises(NothingToDo, match=FIRST):
        switch_base(settings, RUN, dry_run=False)


def test_what_was_rolled_back_is_not_given_back(settings: Settings, other: Settings):
    make(settings, FIRST)
    promote(settings, FIRST)
    swap(settings, "base", "worse")
    assert lineage.last_current(settings.layout, base_sha256(settings.base_folder)) == "base"
    make(other, SECOND)
    promote(other, SECOND)
    assert switch_base(settings, RUN, dry_run=False)["to"] == "base"


def test_what_is_no_longer_there_is_passed_over_and_what_failed_too(settings: Settings):
    for identity in (FIRST, SECOND, THIRD):
        make(settings, identity)
        promote(settings, identity)
    swap(settings, SECOND, "worse")
    base = base_sha256(settings.base_folder)
    assert lineage.last_current(settings.layout, base) == SECOND
    (settings.layout.generation(SECOND) / generations.MANIFEST).unlink()
    assert lineage.last_current(settings.layout, base) == FIRST


def test_old_ledger_lines_belong_to_the_base_of_their_generation(settings: Settings, other: Settings):
    make(settings, FIRST)
    make(other, SECOND)
    entries = [("base", FIRST, "promoted"), (FIRST, "base", "worse"), ("base", SECOND, "promoted")]
    entries += [("base", THIRD, "promoted")]
    lines = [{"at": 1.0, "run": RUN, "from": a, "to": b, "sha256": None, "reason": reason} for a, b, reason in entries]
    jsonl.append(settings.layout.promotions, lines)
    ours, theirs = (base_sha256(each.base_folder) for each in (settings, other))
    assert [line["to"] for line in lineage.history(settings.layout, ours)] == [FIRST, "base"]
    assert [line["to"] for line in lineage.history(settings.layout, theirs)] == [SECOND]
    assert [line["to"] for line in lineage.history(settings.layout, None)] == [THIRD]


def test_rollback_stays_within_the_lineage_of_the_base(settings: Settings, other: Settings):
    make(settings, FIRST)
    promote(settings, FIRST)
    make(other, SECOND)
    switch_base(other, RUN, dry_run=False)
    promote(other, SECOND)
    switch_base(settings, RUN, dry_run=False)
    assert rollback(settings, None, "test", RUN, dry_run=True)["to"] == "base"
    switch_base(other, RUN, dry_run=False)
    assert rollback(other, None, "test", RUN, dry_run=True)["to"] == "base"


def test_a_second_rollback_does_not_give_back_what_failed(settings: Settings):
    for identity in (FIRST, SECOND):
        make(settings, identity)
        promote(settings, identity)
    # A person's words are never taken for the ledger's own.
    assert rollback(settings, None, generations.PROMOTED, RUN, dry_run=False)["to"] == FIRST
    assert rollback(settings, None, "test", RUN, dry_run=False)["to"] == "base"
    with pytest.raises(UsageError, match="nothing to roll back to"):
        rollback(settings, None, "test", RUN, dry_run=False)


def test_pruning_keeps_what_another_base_had_last(settings: Settings, other: Settings):
    make(settings, FIRST)
    promote(settings, FIRST)
    switch_base(other, RUN, dry_run=False)
    newer = [f"20270101T02000{number}Z" for number in range(5)]
    for identity in newer:
        make(other, identity)
        promote(other, identity)
    assert prune(settings, dry_run=False)["removed"] == newer[:2]  # kept: current, what was before it, one more
    assert switch_base(settings, RUN, dry_run=False)["to"] == FIRST


def test_a_ledger_line_says_which_base_model_it_is_about(settings: Settings):
    generation = make(settings, FIRST)
    generations.make_current(settings.layout, generation, "promoted", RUN)
    generations.make_current(settings.layout, generations.bare_base(settings.layout), "worse", RUN)
    base = base_sha256(settings.base_folder)
    assert [line["base_sha256"] for line in generations.ledger(settings.layout)] == [base, base]
    assert lineage.current_base(settings.layout) == base
