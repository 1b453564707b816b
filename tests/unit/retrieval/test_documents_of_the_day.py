import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import write

from pipeline.lib.problems import Problems
from pipeline.retrieval import documents
from pipeline.retrieval.documents import Found, quality

ID = "0a1b2c3d4e5f0a1b2c3d4e5f"


def only(home: Path, *patterns: str) -> Found:
    (found,) = documents.find(home, patterns or ("documents/*.md",), Problems())
    return found


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("20261120-shift.pdca.md", "2026-11-20"),
        ("2026-11-20 notes.md", "2026-11-20"),
        ("20261399-order-20261121.md", "2026-11-21"),
        ("order-1202611204.md", "2026-10-01"),
        ("notes.md", "2026-10-01"),
    ],
)
def test_the_date_is_that_of_the_name_else_of_the_last_writing(tmp_path: Path, name: str, day: str):
    path = write(tmp_path, name, "text")
    os.utime(path, (1_790_812_800, 1_790_812_800))  # 2026-10-01
    assert only(tmp_path).date == day


def test_the_id_follows_from_the_path_alone(tmp_path: Path):
    write(tmp_path, "a.md", "one")
    before = only(tmp_path)
    write(tmp_path, "a.md", "two")
    after = only(tmp_path)
    assert (before.id, before.path) == (after.id, "documents/a.md")
    assert before.sha256 != after.sha256


def test_a_document_that_two_globs_match_is_found_once(tmp_path: Path):
    write(tmp_path, "a.md", "one")
    assert (
        only(tmp_path, "documents/*.md", "documents/a*", str(tmp_path / "documents" / "*.md")).path == "documents/a.md"
    )


@pytest.mark.parametrize(
    ("front_matter", "ids"),
    [
        (f"---\ninteraction_ids: [{ID}, chatcmpl-{ID[::-1]}]\ntitle: x\n---\n", sorted([ID, ID[::-1]])),
        (f"---\ntitle: x\ninteraction_ids:\n  - {ID}\nother: {ID[::-1]}\n---\n", [ID]),
        (f"---\ntitle: {ID}\n---\n", []),
        (f"interaction_ids: {ID}\n", []),
    ],
)
def test_interactions_are_those_that_the_front_matter_names(tmp_path: Path, front_matter: str, ids: list[str]):
    write(tmp_path, "a.md", front_matter + "text")
    assert only(tmp_path).interaction_ids == ids


def test_what_cannot_be_read_is_named_and_the_rest_is_found(tmp_path: Path):
    write(tmp_path, "good.md", "text")
    write(tmp_path, "empty.md", " \n")
    write(tmp_path, "large.md", "x" * (documents.LARGEST + 1))
    (tmp_path / "documents" / "binary.md").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "documents" / "folder.md").mkdir()
    problems = Problems()
    assert [each.path for each in documents.find(tmp_path, ["documents/*.md"], problems)] == ["documents/good.md"]
    told = {each["reason"]: each["places"] for each in problems.to_json()}
    assert told == {
        "not UTF-8": ["documents/binary.md"],
        "empty": ["documents/empty.md"],
        "larger than 1 MB": ["documents/large.md"],
    }


PROSE = "\n".join(f"Line {number} tells of another pump that was repaired on a wet day" for number in range(5))


def test_stubs_repetitions_and_dumps_are_of_low_quality():
    assert quality(PROSE) > 0.95
    assert quality("Pump repaired.") < 0.1
    assert quality("the same line again and again\n" * 20) < 0.1
    assert quality("\n".join(f"{number} |;;## {{}}()[] <>!! ~~^^ %%$$ ++== \\\\//" for number in range(40))) < 0.4


@given(st.text())
def test_quality_is_a_share(text: str):
    assert 0 <= quality(text) <= 1
