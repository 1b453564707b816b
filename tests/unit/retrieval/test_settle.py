import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from handmade import FIRST, SECOND, promote, swap
from tiny import TinyEmbedder, held, learning_home, tiny_settings, write

from pipeline import rag
from pipeline.index import index
from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo
from pipeline.retrieval.truth import BUFFER, HISTORICAL, Truth


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied."""
    return learning_home(tmp_path_factory.mktemp("made")).home


@pytest.fixture
def settings(made: Path, tmp_path: Path) -> Settings:
    return tiny_settings(Path(shutil.copytree(made, tmp_path / "home")))


def names(settings: Settings, collection: str) -> set[str]:
    return {Path(each.path).stem[9:] for each in Truth(settings.layout).read(collection).values()}


def test_what_the_promoted_generation_learned_moves_to_the_history_with_its_vectors(settings: Settings):
    before = held(settings)["daily_buffer"]
    promote(settings, FIRST)
    told = rag.settle(settings, FIRST, False)
    assert (told["marked"], told["given_back"], told["current"]) == (2, 0, FIRST)
    assert names(settings, BUFFER) == {"waiting", "after"}
    assert names(settings, HISTORICAL) == {"learned", "before"}
    after = held(settings)
    assert {**after["daily_buffer"], **after["historical"]} == before
    assert [len(after[name]) for name in ("daily_buffer", "historical")] == [2, 2]


def test_what_moves_says_when_and_by_what_it_was_learned_and_is_archived(settings: Settings):
    promote(settings, FIRST)
    rag.settle(settings, None, False)
    at = datetime.fromtimestamp(generations.ledger(settings.layout)[0]["at"], UTC)
    moved = Truth(settings.layout).read(HISTORICAL).values()
    assert {(each.trained_in_adapter, each.training_batch) for each in moved} == {(True, FIRST)}
    assert {each.training_date for each in moved} == {at.isoformat(timespec="seconds")}
    archive = Truth(settings.layout).folder / f"archive-{at:%Y%m%d}.jsonl"
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    assert {line["id"]: line["parts"] for line in lines} == {
        each.id: [part.model_dump() for part in each.parts] for each in moved
    }
    assert {line["collection"] for line in lines} == {"archived"}


def test_settling_twice_is_settling_once(settings: Settings):
    promote(settings, FIRST)
    rag.settle(settings, None, False)
    before = {path: path.read_bytes() for path in Truth(settings.layout).folder.iterdir()}
    with pytest.raises(NothingToDo, match="where it belongs"):
        rag.settle(settings, None, False)
    assert {path: path.read_bytes() for path in Truth(settings.layout).folder.iterdir()} == before


def test_a_dry_run_only_counts(settings: Settings):
    promote(settings, FIRST)
    assert rag.settle(settings, None, True)["marked"] == 2
    assert names(settings, HISTORICAL) == set()


def test_a_generation_that_is_not_in_service_settles_nothing(settings: Settings):
    with pytest.raises(NothingToDo, match=f"{FIRST} is not in service, base is"):
        rag.settle(settings, FIRST, False)
    assert names(settings, HISTORICAL) == set()


def test_a_rollback_gives_back_what_only_the_given_up_generation_had_learned(settings: Settings):
    promote(settings, FIRST)
    rag.settle(settings, None, False)
    promote(settings, SECOND)
    rag.settle(settings, None, False)
    assert names(settings, BUFFER) == set()
    swap(settings, FIRST, "it failed")
    told = rag.settle(settings, None, False)
    assert (told["marked"], told["given_back"]) == (0, 2)
    assert names(settings, BUFFER) == {"waiting", "after"}
    assert {each.trained_in_adapter for each in Truth(settings.layout).read(BUFFER).values()} == {False}
    assert {each.training_batch for each in Truth(settings.layout).read(HISTORICAL).values()} == {FIRST}
    assert [len(held(settings)[name]) for name in ("daily_buffer", "historical")] == [2, 2]


def test_what_a_pruned_ancestor_learned_stays_learned(settings: Settings):
    promote(settings, FIRST)
    rag.settle(settings, None, False)
    promote(settings, SECOND)
    shutil.rmtree(settings.layout.generation(FIRST))
    rag.settle(settings, None, False)
    assert names(settings, HISTORICAL) == {"learned", "before", "waiting", "after"}


def test_without_the_ledger_nothing_is_given_back(settings: Settings):
    promote(settings, FIRST)
    rag.settle(settings, None, False)
    promote(settings, SECOND)
    settings.layout.promotions.unlink()
    rag.settle(settings, None, False)  # it still knows what the second was trained on
    assert names(settings, HISTORICAL) == {"learned", "before", "waiting"}


def test_a_document_that_is_written_again_comes_back_and_the_archive_keeps_what_was_learned(settings: Settings):
    promote(settings, FIRST)
    rag.settle(settings, None, False)
    write(settings.home, "20261117-before.md", "more notes")
    index(settings, False, TinyEmbedder())
    assert "before" in names(settings, BUFFER)
    assert names(settings, HISTORICAL) == {"learned"}
    (archive,) = Truth(settings.layout).folder.glob("archive-*.jsonl")
    assert "notes of the day before" in archive.read_text()
    rag.settle(settings, None, False)
    assert names(settings, HISTORICAL) == {"learned", "before"}
    texts = [json.loads(line)["text"] for line in archive.read_text().splitlines()]
    assert len(texts) == 3
    assert {"notes of the day before", "more notes"} < set(texts)


def test_rebuild_gives_both_collections_back_byte_by_byte(settings: Settings):
    promote(settings, FIRST)
    rag.settle(settings, None, False)
    before = held(settings)
    shutil.rmtree(settings.home / settings.retrieval.folder)
    assert rag.rebuild(settings)["passages"] == {"daily_buffer": 2, "historical": 2, "tools": 0}
    assert held(settings) == before
    assert all(before[name] for name in ("daily_buffer", "historical"))


def test_rebuild_replaces_a_damaged_folder(settings: Settings):
    before = held(settings)
    database = settings.home / settings.retrieval.folder / "chroma.sqlite3"
    database.write_bytes(b"no database" * 1000)
    rag.rebuild(settings)
    assert held(settings) == before


@pytest.mark.parametrize("command", [lambda settings: rag.settle(settings, None, False), rag.rebuild])
def test_without_documents_there_is_nothing_to_settle_or_rebuild(tmp_path: Path, command):
    with pytest.raises(NothingToDo, match="no documents"):
        command(tiny_settings(tmp_path))
    assert not (tmp_path / "training_data").exists()
