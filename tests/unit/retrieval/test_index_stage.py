import json
from pathlib import Path

import numpy
import pytest
from tiny import NAME, TinyEmbedder, held, tiny_settings, write

from pipeline.index import index
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, BusyError, NothingToDo
from pipeline.lib.files import read_json
from pipeline.retrieval import embedding
from pipeline.retrieval.chroma import Chroma
from pipeline.retrieval.library import Library
from pipeline.retrieval.truth import BUFFER, TOOLS, Passage, Truth

LONG = "\n\n".join(f"paragraph {number} tells of pump {number} in hall {number} of the works" for number in range(6))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return tiny_settings(tmp_path, tool_documents=["documents/tools/*.md"])


def run(settings: Settings) -> tuple[dict, int]:
    """What the stage tells, and how many texts it needed vectors for."""
    embedder = TinyEmbedder()
    return index(settings, False, embedder), embedder.asked


def test_a_document_becomes_a_line_with_vectors_and_stands_in_chroma(settings: Settings):
    write(settings.home, "20261120-shift.pdca.md", "---\ninteraction_ids: [" + "a" * 24 + "]\n---\npump repaired")
    told, _ = run(settings)
    assert (told["indexed"], told["passages"]) == (1, {"daily_buffer": 1, "historical": 0, "tools": 0})
    (line,) = [json.loads(each) for each in Truth(settings.layout).path(BUFFER).read_text().splitlines()]
    assert (line["path"], line["date"], line["collection"]) == (
        "documents/20261120-shift.pdca.md",
        "2026-11-20",
        "daily_buffer",
    )
    assert (line["trained_in_adapter"], line["training_batch"], line["training_date"]) == (False, None, None)
    assert (line["interaction_ids"], line["embedding_model"]) == (["a" * 24], NAME)
    assert set(held(settings)["daily_buffer"]) == {f"{line['id']}#0"}


def test_a_long_document_becomes_several_passages(settings: Settings):
    write(settings.home, "a.md", LONG)
    told, _ = run(settings)
    (document,) = Truth(settings.layout).read(BUFFER).values()
    assert len(document.parts) == told["passages"]["daily_buffer"] > 2
    assert set(held(settings)["daily_buffer"]) == {f"{document.id}#{number}" for number in range(len(document.parts))}


def test_what_has_not_changed_needs_no_vectors_and_leaves_every_file_as_it_is(settings: Settings):
    write(settings.home, "a.md", LONG)
    run(settings)
    before = {path: path.read_bytes() for path in Truth(settings.layout).folder.iterdir()}
    told, asked = run(settings)
    assert (asked, told["indexed"], told["unchanged"], told["passages_changed"]) == (0, 0, 1, 0)
    assert {path: path.read_bytes() for path in Truth(settings.layout).folder.iterdir()} == before


def test_a_document_that_got_shorter_leaves_no_passage_of_its_old_text(settings: Settings):
    write(settings.home, "a.md", LONG)
    run(settings)
    write(settings.home, "a.md", "short now")
    run(settings)
    assert len(held(settings)["daily_buffer"]) == 1


def test_a_document_that_is_gone_from_the_disk_stays_remembered(settings: Settings):
    write(settings.home, "a.md", "one").unlink()
    write(settings.home, "b.md", "two")
    run(settings)
    write(settings.home, "b.md", "two").unlink()
    assert run(settings)[0]["passages"]["daily_buffer"] == 1


def test_another_embedding_model_makes_all_vectors_again(settings: Settings):
    write(settings.home, "a.md", LONG)
    _, asked = run(settings)

    class Other(TinyEmbedder):
        name = "other"

        def encode(self, texts):
            return super().encode(texts)[:, :16]

    others = tiny_settings(settings.home, embedding_model="other")
    assert index(others, False, Other())["indexed"] == 1
    vectors = held(others)["daily_buffer"]
    assert len(vectors) == asked
    assert {len(each) for each in vectors.values()} == {16 * 4}


def test_documents_about_tools_have_a_collection_of_their_own_and_move_there(settings: Settings):
    write(settings.home, "tools/a.md", "the wrench")
    both = ["documents/*.md", "documents/tools/*.md"]
    index(tiny_settings(settings.home, documents=both), False, TinyEmbedder())
    assert len(Truth(settings.layout).read(BUFFER)) == 1
    index(tiny_settings(settings.home, documents=both, tool_documents=["documents/tools/*.md"]), False, TinyEmbedder())
    assert (len(Truth(settings.layout).read(BUFFER)), len(Truth(settings.layout).read(TOOLS))) == (0, 1)
    assert [len(each) for each in held(settings).values()] == [0, 0, 1]


def test_more_passages_than_chroma_takes_at_once_all_arrive_and_all_go(tmp_path: Path):
    vector = embedding.written(numpy.array([0.6, 0.8], numpy.float32))
    many = [Passage(f"{number}#0", "text", vector, {"digest": "x"}) for number in range(5_470)]  # it takes 5,461
    opened = Chroma(tmp_path)
    assert opened.synchronize(BUFFER, NAME, many) == len(opened.embeddings(BUFFER)) == len(many)
    assert opened.synchronize(BUFFER, NAME, many[:1]) == len(many) - 1
    assert set(opened.embeddings(BUFFER)) == {"0#0"}
    opened.close()


def test_a_dry_run_writes_nothing(settings: Settings):
    write(settings.home, "a.md", "one")
    assert index(settings, True, TinyEmbedder()) == {"dry_run": True, "indexed": 1, "unchanged": 0}
    assert not Truth(settings.layout).folder.exists()


def test_without_documents_there_is_nothing_to_do(settings: Settings):
    with pytest.raises(NothingToDo, match="no documents"):
        index(settings, False, TinyEmbedder())
    write(settings.home, "a.md", "")
    with pytest.raises(NothingToDo, match="1 × empty"):
        index(settings, False, TinyEmbedder())


def test_there_is_one_writer(settings: Settings):
    write(settings.home, "a.md", "one")
    with Library(settings).writing(), pytest.raises(BusyError):
        index(settings, False, TinyEmbedder())


def test_a_bad_line_of_our_files_is_named(settings: Settings):
    write(settings.home, "a.md", "one")
    run(settings)
    path = Truth(settings.layout).path(BUFFER)
    line = json.loads(path.read_text())
    path.write_text(json.dumps({**line, "quality_score": 7}) + "\n")
    with pytest.raises(BadRecordError, match=r"daily_buffer\.jsonl line 1: no document \(quality_score"):
        run(settings)


def test_the_version_follows_from_the_content(settings: Settings):
    marker = Truth(settings.layout).marker
    write(settings.home, "a.md", "one")
    run(settings)
    first = read_json(marker)["version"]
    write(settings.home, "a.md", "two")
    run(settings)
    assert read_json(marker)["version"] != first
