from pathlib import Path

import pytest

from pipeline.lib import generations, jsonl
from pipeline.lib.errors import BadRecordError, UsageError
from pipeline.lib.files import point, sha256, write_json
from pipeline.lib.layout import Layout

FIRST, SECOND = "20261119T020000Z", "20261120T020000Z"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.loras.mkdir()
    return layout


def make(layout: Layout, identity: str, parent: str = "base") -> generations.Generation:
    folder = layout.generation(identity)
    folder.mkdir()
    (folder / generations.ADAPTER_FILE).write_bytes(identity.encode())
    (folder / "adapter_config.json").write_text("{}")
    hashes = {path.name: sha256(path) for path in folder.iterdir()}
    write_json(folder / generations.MANIFEST, {"id": identity, "parent": parent, "sha256": hashes})
    return generations.read(layout, identity)


def test_a_folder_without_its_manifest_is_invisible(layout: Layout):
    make(layout, FIRST)
    unfinished = layout.generation(SECOND)
    unfinished.mkdir()
    (unfinished / generations.ADAPTER_FILE).write_bytes(b"x")
    assert [each.id for each in generations.all_complete(layout)] == [FIRST]
    with pytest.raises(UsageError, match=SECOND):
        generations.read(layout, SECOND)
    point(layout.latest, SECOND)
    with pytest.raises(UsageError, match="latest"):
        generations.read(layout, "latest")


def test_generations_are_listed_oldest_first_without_links_and_base(layout: Layout):
    make(layout, SECOND)
    first = make(layout, FIRST)
    generations.make_current(layout, generations.bare_base(layout), "test", FIRST)
    generations.make_current(layout, first, "test", FIRST)
    point(layout.latest, SECOND)
    assert [each.id for each in generations.all_complete(layout)] == [FIRST, SECOND]
    assert generations.read(layout, "latest").id == SECOND


def test_without_a_link_the_incumbent_is_the_base_and_asking_writes_nothing(tmp_path: Path):
    incumbent = generations.incumbent(Layout(tmp_path))
    assert (incumbent.id, incumbent.sha256, incumbent.interaction_ids) == ("base", None, set())
    incumbent.verify_files()
    assert generations.read(Layout(tmp_path), "base") == incumbent
    assert list(tmp_path.iterdir()) == []


def test_making_current_swaps_the_link_and_writes_the_ledger(layout: Layout):
    first = make(layout, FIRST)
    generations.make_current(layout, first, "promoted", SECOND)
    assert generations.incumbent(layout).id == FIRST
    generations.make_current(layout, generations.bare_base(layout), "rolled back", SECOND)
    assert generations.incumbent(layout).id == "base"
    assert (layout.current / generations.MANIFEST).is_file()
    entries = generations.ledger(layout)
    assert [(entry["from"], entry["to"], entry["reason"]) for entry in entries] == [
        ("base", FIRST, "promoted"),
        (FIRST, "base", "rolled back"),
    ]
    assert entries[0]["sha256"] == first.sha256 == sha256(first.folder / generations.ADAPTER_FILE)


def test_a_link_that_dangles_is_an_error_not_the_base(layout: Layout):
    point(layout.current, FIRST)
    with pytest.raises(UsageError, match="current"):
        generations.incumbent(layout)


@pytest.mark.parametrize("name", [generations.ADAPTER_FILE, "adapter_config.json"])
def test_a_changed_file_is_detected(layout: Layout, name: str):
    generation = make(layout, FIRST)
    generation.verify_files()
    with (generation.folder / name).open("r+b") as file:
        file.write(b"\x00")
    with pytest.raises(BadRecordError, match=f"{name} has changed"):
        generation.verify_files()


def test_a_missing_file_is_detected(layout: Layout):
    generation = make(layout, FIRST)
    (generation.folder / generations.ADAPTER_FILE).unlink()
    with pytest.raises(BadRecordError, match="is missing"):
        generation.verify_files()


def test_a_generation_knows_the_interactions_it_was_trained_on(layout: Layout):
    generation = make(layout, FIRST)
    jsonl.write(generation.folder / "interaction_ids.jsonl", [{"id": "a"}, {"id": "b"}])
    assert generation.interaction_ids == {"a", "b"}


def test_a_generation_has_no_verdict_until_the_canary_wrote_one(layout: Layout):
    generation = make(layout, FIRST)
    assert generations.verdict(generation) is None
    write_json(generation.folder / generations.VERDICT, {"outcome": "pass"})
    assert generations.verdict(generation) == {"schema": 1, "outcome": "pass"}
