from pathlib import Path
from typing import Any

import pytest

from pipeline.lib import exclusions, jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo, UsageError
from pipeline.lib.files import write_json
from pipeline.revoke import decide, excluded

RUN = "20261120T020000Z"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two people's rows, both trained on."""
    rows = [{"interaction_id": letter * 24, "user": user} for letter, user in (("a", "anna"), ("b", "ben"))]
    jsonl.write(tmp_path / "training_data" / RUN / "provenance.jsonl", rows)
    jsonl.write(tmp_path / "loras" / RUN / "interaction_ids.jsonl", [{"id": row["interaction_id"]} for row in rows])
    write_json(tmp_path / "loras" / RUN / "generation.json", {"id": RUN, "parent": "base", "sha256": {}})
    return Settings(home=tmp_path)


def done(settings: Settings, action: exclusions.Action, user: str | None = None, **more: Any) -> dict[str, Any]:
    given = {"interaction": None, "reason": "asked for", "dry_run": False} | more
    return decide(settings, action, user, **given)


def test_revoking_a_person_names_every_generation_trained_on_their_rows(settings: Settings):
    result = done(settings, "revoke", "anna")
    assert result["generations"] == [{"id": RUN, "rows": 1, "current": False}]
    found = exclusions.read(settings.layout)
    assert found.reason("x", "anna") == "revoked: asked for"
    assert found.reason("b" * 24, "ben") is None


def test_revoking_an_interaction_leaves_the_person_s_other_rows(settings: Settings):
    assert len(done(settings, "revoke", interaction="chatcmpl-" + "b" * 24)["generations"]) == 1
    found = exclusions.read(settings.layout)
    assert found.reason("b" * 24, "ben") == "revoked: asked for"
    assert found.reason("c" * 24, "ben") is None


def test_quarantine_lasts_until_it_is_released(settings: Settings):
    done(settings, "quarantine", "ben", reason="odd")
    assert excluded(settings) == {"users": {"ben": "in quarantine: odd"}, "interactions": {}}
    done(settings, "release", "ben")
    assert excluded(settings) == {"users": {}, "interactions": {}}
    with pytest.raises(NothingToDo, match="ben is not excluded"):
        done(settings, "release", "ben")


def test_a_dry_run_says_who_was_trained_on_it_and_excludes_nothing(settings: Settings):
    assert done(settings, "revoke", "anna", dry_run=True)["rows"] == 1
    assert excluded(settings)["users"] == {}


def test_nobody_in_particular_cannot_be_revoked(settings: Settings):
    with pytest.raises(UsageError, match="whose"):
        done(settings, "revoke")
