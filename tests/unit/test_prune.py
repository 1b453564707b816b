import os
import socket
import time
from pathlib import Path

import pytest

from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.files import point, write_json
from pipeline.prune import prune

IDS = [f"202611{day:02}T020000Z" for day in range(1, 13)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    settings = Settings(home=tmp_path, server={"port": port}, deploy={"keep": 2})
    for identity in IDS:
        write_json(settings.layout.generation(identity) / generations.MANIFEST, {"id": identity, "sha256": {}})
    return settings


def there(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.layout.loras.iterdir() if not path.is_symlink())


def promote(settings: Settings, identity: str) -> None:
    generations.make_current(settings.layout, generations.read(settings.layout, identity), "test", identity)


def test_incumbent_rollback_target_and_latest_stay_besides_the_newest(settings: Settings):
    promote(settings, IDS[0])
    promote(settings, IDS[3])
    promote(settings, IDS[1])
    point(settings.layout.latest, IDS[2])
    result = prune(settings, dry_run=False)
    assert there(settings) == [*IDS[1:4], *IDS[10:]]
    assert result["removed"] == [IDS[0], *IDS[4:10]]
    assert result["kept"] == 2
    assert generations.incumbent(settings.layout).id == IDS[1]


def test_a_dry_run_names_the_folders_and_removes_none(settings: Settings):
    promote(settings, IDS[11])
    before = there(settings)
    assert prune(settings, dry_run=True)["removed"] == IDS[:9]
    assert there(settings) == before


def test_work_folders_are_removed_only_when_they_are_old(settings: Settings):
    old, fresh = settings.layout.loras / ".old.work", settings.layout.loras / ".fresh.work"
    for folder in (old, fresh):
        folder.mkdir()
    week = time.time() - 8 * 24 * 3600
    os.utime(old, (week, week))
    prune(settings, dry_run=False)
    assert not old.exists()
    assert fresh.exists()
